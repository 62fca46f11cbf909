create table t (id int primary key, a int, b varchar(10) default 'x', c text)
;;
alter table t add d int
;;
alter table t add column e int not null default 5 first
;;
alter table t add f int after a, add g int after f
;;
alter table t add (h int, i varchar(5) not null), add column (j int default 1)
;;
alter table t drop column h, drop i
;;
alter table t modify a bigint
;;
alter table t modify column a bigint unsigned not null default 3 comment 'aa' after g
;;
alter table t change b b2 varchar(20) not null
;;
alter table t change column b2 b3 varchar(30) first
;;
alter table t change b3 b3 varchar(31) after id
;;
alter table t rename column c to c2
;;
alter table t alter a set default 4, alter column j drop default
;;
alter table t add constraint u unique (a)
;;
alter table t drop primary key
;;
alter table t add unique (g)
;;
alter table t add primary key (id, a)
;;
alter table t drop primary key, add primary key (a)
;;
alter table t drop column a, add primary key (id)
;;
alter table t add index (d), add key kk using btree (e), add fulltext index ft (c2)
;;
alter table t drop index ft
;;
alter table t rename index kk to kk2
;;
alter table t alter index kk2 invisible
;;
alter table t engine=innodb, row_format=dynamic, algorithm=copy, lock=shared
;;
alter table t comment 'new comment'
;;
alter table t comment=''
;;
alter table t auto_increment=100 comment='both' avg_row_length=5
;;
alter table t order by id
;;
alter table t disable keys
;;
alter table t enable keys
;;
alter table t force
;;
alter table t add column k1 int, algorithm=inplace, lock=none
;;
alter table t add constraint chk check (k1 > 0)
;;
alter table t add column gen int generated always as (k1 + 1) stored, add column gen2 int as (k1) virtual after id
;;
alter table t rename to t2
;;
alter table t2 rename t3
;;
alter table t3 rename as t4, add column after_rename int
;;
alter table ddl_alter.t4 rename ddl_alter.t
;;
alter table t
;;
alter table t modify id int auto_increment
;;
alter table t modify id int
;;
alter table t add n1 int not null, add n2 int not null unique, add n3 int unique
;;
create table p (id int not null, v int, primary key (id)) partition by range (id) (partition p0 values less than (10))
;;
alter table p add partition (partition p1 values less than (20), partition p2 values less than maxvalue)
;;
alter table p drop partition p0
;;
alter table p reorganize partition p1, p2 into (partition px values less than maxvalue)
;;
alter table p truncate partition px
;;
alter table p remove partitioning
;;
alter table p partition by hash(id) partitions 3
;;
alter table p coalesce partition 1
;;
alter table p analyze partition all
;;
alter table p add column w int partition by key (id) partitions 2
;;
create table q (a int, b int not null, c int not null)
;;
create unique index ui on q (a)
;;
create unique index uj on q (b, c)
;;
alter table q drop index uj
;;
create index ic on q (c)
;;
drop index ic on q
;;
alter table q add unique index uk (c)
;;
alter table q modify b int null
;;
alter table q change a A2 int
;;
alter table q change a2 a int
;;
alter table q modify A int
;;
alter table q add column Z int, add column z2 int after Z, drop column B
;;
create table r (id int primary key, v varchar(10) comment 'vv' default 'q', u int not null unique)
;;
alter table r modify v varchar(20)
;;
alter table r change id id2 int not null
;;
alter table r drop column id2
;;
alter table r add column id int primary key auto_increment first
;;
alter table r drop primary key, modify id int
;;
alter table r drop u
;;
create table s (a timestamp null on update current_timestamp, b int auto_increment primary key)
;;
alter table s modify a timestamp null, modify b int
;;
alter table s change a a datetime default current_timestamp
;;
alter table s add column e enum('a','b') default 'a', modify b bigint auto_increment
;;
alter table s modify e enum('a','b','c') not null
;;
alter table s change e e set('x','y')
;;
alter table s modify e varchar(10)
;;
alter table s modify e int
;;
create table swap (a int, b bigint not null primary key)
;;
alter table swap rename column a to b, rename column b to a
;;
create table swap2 (a int, b bigint not null primary key)
;;
alter table swap2 change a b int, change b a bigint not null
;;
create table eq (a int)
;;
alter table eq rename = eq2
;;
create table fk1 (id int primary key)
;;
create table fk2 (id int primary key, f int)
;;
alter table fk2 add constraint fkc foreign key fki (f) references fk1 (id) on delete set null
;;
alter table fk2 drop foreign key fkc, drop key fkc
;;
alter table fk2 add column g int references fk1(id)
;;
alter table fk2 discard tablespace
;;
drop table fk2
;;
alter table fk1 add x int
;;
alter table fk1 add column `weird,name` int, add `a``b` int
;;
alter table fk1 add column y int comment 'a, b' default 5, add column z int comment "x)" after y
;;
alter table fk1 add column if_ int, add index_ int, add key_x int, add column `column` int, add first_ int first
