create table base (id int primary key, v varchar(10) not null default 'x', n decimal(8,2))
;;
alter table base add column hidden int invisible, algorithm=instant
;;
alter table base add column e json default (json_object('a', 1)) engine_attribute '{"k": 1}' secondary_engine_attribute = '{}' after id, lock = none
;;
create table vectors (id int, v vector(3) not null, w vector, vector index (v))
;;
create table multi_valued (j json, key k ((cast(j->'$[*]' as unsigned array))), unique u ((lower(`j`))), check (json_valid(j)) not enforced)
;;
alter table base add constraint c check (n > 0) not enforced, alter check c enforced, drop check c, drop constraint c
;;
alter table base alter column v set invisible, alter column v set visible, rename index a to b
;;
create table ctas select 1 as a
;;
create table ctas2 as select * from base
;;
create table ctas3 (a int, key (a)) engine=innodb ignore as select a from base
;;
create table ctas4 (a int) start transaction
;;
create table ctas5 (select 1 as a) union (select 2)
;;
create table values_ (a int) values row(1), row(2)
;;
create table table_ (a int) table base
;;
create or replace table base2 (id uuid not null default uuid(), a inet6 default '::', b inet4, c varchar(100) compressed, d text compressed=zlib, e varchar2(10), f number(5,2), g clob, h raw(4), primary key (id))
;;
create table versioned (x int, row_start timestamp(6) generated always as row start invisible, row_end timestamp(6) generated always as row end invisible, period for system_time (row_start, row_end)) with system versioning
;;
alter table versioned add system versioning, drop system versioning
;;
alter table versioned add column if not exists x bigint, add if not exists y int, drop column if exists nosuch, modify column if exists nosuch2 int, change if exists nosuch3 z int, rename column if exists nosuch4 to z
;;
create table app_period (id int not null, s date, e date, period for p (s, e), unique (id, p without overlaps))
;;
set statement max_statement_time = 60, lock_wait_timeout = 5 for alter table versioned add column w int
;;
alter table versioned wait 5 add z int
;;
drop table if exists versioned wait 5
;;
rename table if exists base2 to base3
;;
create sequence s start with 1
;;
create table seqd (a int default next value for s, b int default (nextval(s)), c int default nextval(s), d datetime default current_timestamp() on update current_timestamp())
;;
create table unknown_type (a int, b frobnicator(3) not null, c int)
;;
create table unknown_attribute (a int frobnicate 3, b int)
;;
create table option_attribute (a int frobnicate=3, b varchar(10) `zip`='yes')
;;
alter table base frobnicate the columns, add ok int
;;
alter table base some_engine_option=5, add ok int
;;
alter table base add column, drop
;;
alter table base add column x int y z
;;
alter table nosuch add a int
;;
alter table base drop column nosuch
;;
alter table base modify nosuch int
;;
alter table base add c2 int after nosuch
;;
alter table base add id int
;;
alter table base drop id, add id bigint first, add primary key (id)
;;
alter table base rename column id to v, rename column v to id
;;
alter table base convert to character set binary
;;
alter table base convert to character set default
;;
alter table base alter v set default null
;;
rename table base to base9, nosuch to base8
;;
create table like_nosuch like nosuch
;;
create table broken (a int
;;
create table broken2 (a int, b varchar(10) default 'open)
;;
create table broken3 (a int))
;;
create table broken4 (a int(x))
;;
create table broken5 (a enum(a, b))
;;
create table /* open
;;
create table `open (a int)
;;
frobnicate table base
;;
)
;;
;
;;
/* only a comment */
;;
-- only a comment
;;
create table m1 (a int); create table m2 (b int);; alter table m1 add c int; use other_db; create table m3 (d int)
;;
create procedure p() begin create table inner1 (a int); drop table m1; end
;;
create definer = `a`@`b` trigger t before insert on m1 for each row begin set new.a = 1; drop table m1; end
;;
create table trigger_ (a int); create table event (b int)
;;
drop table m1, other.m2, `m3`
;;
create table partition_soup (id int, d date) engine=innodb partition by range (to_days(d)) (partition p0 values less than (to_days('2020-01-01')) engine = innodb data directory = '/x' max_rows = 5, partition p1 values less than maxvalue) 
;;
alter table partition_soup exchange partition p0 with table base without validation
;;
alter table partition_soup add partition partitions 4, add column x int
;;
alter table partition_soup algorithm=inplace, drop partition p0, p1
;;
create table lengths (a varchar(99999999999), b decimal(10.2), c int(0), d text(4294967295))
;;
create table defaults (a int default -  5, b varchar(5) default n'x', c varchar(9) default _utf8mb4 0x41, d date default curdate(), e varchar(9) default user(), f bit(4) default b'' , g int default .5e+3)
;;
create table quoted_charset (a varchar(5) character set "utf8" collate "utf8_bin") default charset = "latin1" collate = "latin1_bin" comment = "it's"
;;
create table keys_ (a int not null, b int not null, unique key `primary` (b), unique using btree (a), unique index i type hash (a), primary key named (a) using hash, fulltext (a), spatial index s (a), constraint foreign key f (a) references x(y) match full on delete no action on update set default)
;;
create unique index u on base (v) using btree comment 'x' algorithm = inplace
;;
create index if not exists i on base (v)
;;
drop index i on base algorithm = inplace
;;
create database if not exists d2 default character set latin1 encryption = 'n'
;;
alter database d2 read only = 1
;;
alter database collate utf8mb4_bin
;;
alter database character set = default
;;
create table after_alter_database (a varchar(3))
;;
set names utf8mb4 collate utf8mb4_bin, @a = 5, @@global.character_set_server = 'greek', session sql_mode = concat(@@sql_mode, ',ANSI')
;;
create table d3.after_set (a varchar(3))
;;
set global transaction isolation level read committed
;;
truncate base wait 5
;;
truncate table `a`.`b`
;;
xa start 'x'
;;
create table .dotted (a int)
;;
create table a.b.c (a int)
;;
create table 1e5 (1e5 int, 2.3 int)
;;
create table 1e5 (1e5 int, `2.3` int)
;;
create table too (a int) engine innodb row_format compact comment 'x' auto_increment 5 union (a, b) secondary_engine = rapid tablespace ts storage disk
;;
alter table base engine innodb comment 'y', order by v desc, id
;;
alter table base default character set latin1 default collate latin1_bin, comment = ''
;;
alter online ignore table base add column q int
;;
create table unbalanced (a int default (1 + (2), b int)
;;
create table eof_comment (a int) /*!50100 partition by hash (a)
;;
drop temporary table if exists base
;;
create temporary table base (z int)
;;
drop /*!40005 temporary */ table if exists base
;;
drop database d2
;;
drop database if exists `no such`
