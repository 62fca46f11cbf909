create table k1 (a int, b int, primary key (b, a))
;;
create table k2 (a int not null, b int not null, unique (b), unique key u2 (a))
;;
create table k3 (a int, b int not null, unique (a), unique key u2 (b))
;;
create table k4 (a int not null, b int, unique key u (a, b))
;;
create table k5 (a int not null unique, b int)
;;
create table k6 (a int unique, b int not null unique)
;;
create table k7 (a int key, b int unique key)
;;
create table k8 (a int unique, b int primary key)
;;
create table k9 (a varchar(100) not null, unique (a(10)))
;;
create table k10 (a int not null, b int not null, unique u ((a+b)), unique u2 (b desc))
;;
create table k11 (id int auto_increment, v int, key (id))
;;
create table k12 (id int auto_increment unique, v int)
;;
create table k13 (a int not null, b varchar(20), constraint pk primary key using btree (a) comment 'pk', constraint u unique index ub using hash (b), key kb (b), fulltext key ft (b), index (a, b desc) invisible)
;;
create table k14 (a int, b int default null, primary key (a))
;;
create table if not exists k1 (z int)
;;
create table if not exists k15 (z int not null, primary key (z))
;;
create table parent (id int not null, primary key (id)) engine=InnoDB
;;
create table child (id int primary key, p int, q int references parent (id), constraint fk foreign key (p) references parent (id) on delete cascade on update set null, index (q), check (p > 0 and (q < 5 or p in (1,2,3))), constraint c2 check (q <> 7))
;;
create table gen (a int, b int as (a + 1), c int generated always as (a * 2) virtual, d int generated always as (concat('x', a)) stored not null, e varchar(50) generated always as (json_unquote(json_extract('{"a":1}', '$.a'))) virtual comment 'gen', f int as (a) unique, primary key (a))
;;
create table part1 (id int not null, d date not null, primary key (id, d)) engine=innodb partition by range (year(d)) (partition p0 values less than (2000) comment 'old', partition p1 values less than (2010), partition pm values less than maxvalue)
;;
create table part2 (id int primary key) partition by hash(id) partitions 4
;;
create table part3 (id int, c varchar(5)) partition by list columns (c) (partition a values in ('a','b'), partition b values in ('c'))
;;
create table part4 (id int, d datetime) partition by range columns (d) subpartition by hash (id) subpartitions 2 (partition p0 values less than ('2020-01-01') (subpartition s0, subpartition s1), partition p1 values less than (maxvalue) (subpartition s2, subpartition s3))
;;
create table opts (a int) engine = MyISAM, auto_increment = 10 avg_row_length 20 checksum=1 comment 'c,omment' delay_key_write=1 max_rows=100 min_rows=1 pack_keys=default row_format=dynamic default charset utf8 collate utf8_bin stats_persistent=0
;;
create table opts2 (a int, b varchar(10)) engine=innodb row_format=compressed key_block_size=8 compression='none' encryption='n' stats_auto_recalc default stats_sample_pages=20 character set = latin1
;;
create table mrg1 (a int) engine=myisam
;;
create table mrg (a int) engine=merge union=(mrg1) insert_method=last
;;
create table storage (a int column_format fixed storage disk, b int column_format default, c point not null srid 0, spatial index (c))
;;
create table like1 like child
;;
create table like2 (like gen)
;;
create table comments (a int comment 'it''s', b int comment "dq", c int comment '', d int comment 'back\\slash', e int comment 'ünï 😀', f int not null comment 'a, b (c)' default 3) comment='t''able'
;;
CREATE TABLE `spaces`(`a`INT(11)NOT NULL,`b`VARCHAR(10)DEFAULT'x',PRIMARY KEY(`a`))ENGINE=InnoDB
;;
create table many (a int) comment 'one' comment 'two'
;;
create table ddl_create.qualified (a int)
;;
create table `ddl_create`.`qualified2` (a int primary key)
;;
create table ddl_create . qualified3 (a int)
;;
create temporary table tmp (a int)
;;
create table attrs (a int not null default 5 comment 'x' primary key, b int unique comment 'u' not null default 3, c varchar(9) comment 'c' collate latin1_bin default 'q' not null, d int check (d > 1), f timestamp default current_timestamp comment 'f' on update current_timestamp)
;;
create table invis (a int not null, b int, key k (b) invisible, key k2 (a) visible)
;;
create table nullpk (a int, b int, unique (a), primary key (b))
;;
create table empty_opts (a int) comment=''
