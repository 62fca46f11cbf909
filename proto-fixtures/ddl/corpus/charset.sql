create table t0 (a varchar(5), b text, c int, d enum('x'), e json, f nchar(3), g varchar(5) charset latin2, h blob)
;;
alter database ddl_charset character set latin1
;;
create table t1 (a varchar(5), b varchar(5) charset utf8)
;;
create table t2 (a varchar(5)) charset=utf8
;;
create table t3 (a varchar(5), b varchar(5) collate latin1_bin) collate=utf8_bin
;;
create table t4 (a varchar(5)) default character set utf8mb4 collate utf8mb4_bin
;;
create table t5 (a varchar(5)) collate utf8mb4_bin charset utf8mb4
;;
alter table t1 add c varchar(5), add d varchar(5) charset koi8r
;;
alter table t1 default charset=utf8mb4
;;
alter table t1 add e varchar(5)
;;
alter table t1 modify a varchar(6), change b b varchar(6)
;;
alter table t1 convert to character set utf8
;;
alter table t1 add f text
;;
alter table t1 convert to character set utf8mb4 collate utf8mb4_bin
;;
alter table t1 character set latin1 collate latin1_bin
;;
alter table t1 collate utf8_general_ci
;;
alter table t1 add g varchar(3)
;;
alter table t1 convert to charset cp1251
;;
alter table t0 convert to character set latin1
;;
alter table t0 charset = 'utf8'
;;
alter table t0 add i char(1), add j enum('a'), add k set('b') character set ascii
;;
alter schema ddl_charset default collate utf8_general_ci
;;
create table t6 (a varchar(5), b enum('q'))
;;
create table t7 like t6
;;
create database ddl_charset_two default character set = 'greek' collate greek_bin
;;
create table ddl_charset_two.t (a varchar(3))
;;
use ddl_charset_two
;;
alter database ddl_charset_two character set cp1250
;;
create table t8 (a varchar(3))
;;
create database if not exists ddl_charset_two character set latin5
;;
create table t9 (a varchar(3))
;;
drop database ddl_charset_two
;;
create database ddl_charset_two collate latin7_bin
;;
create table ddl_charset_two.t10 (a varchar(3))
;;
drop database ddl_charset_two
;;
create table ddl_charset.nc (a nchar(3), b nvarchar(3)) charset latin1
;;
alter table ddl_charset.nc convert to character set utf8mb4
