create table t (a int primary key, b varchar(5))
;;
create view v as select * from t
;;
create or replace algorithm=merge definer=`cdc`@`%` sql security invoker view v as select a from t with check option
;;
alter view v as select b from t
;;
drop view v
;;
create procedure p1 (in x int, out y varchar(10)) begin declare z int default 5; create table if not exists inner_t (id int); set y = 'a;b'; if x > 1 then select 1; end if; end
;;
create definer=cdc@'%' function f1 (a int) returns int deterministic no sql return a + 1
;;
create trigger tr before insert on t for each row begin set new.b = 'x'; set new.a = new.a + 1; end
;;
drop trigger tr
;;
drop procedure p1
;;
drop function f1
;;
create event ev on schedule every 1 day do delete from t where a < 0
;;
alter event ev disable
;;
drop event ev
;;
create user ddl_u1@localhost
;;
alter user ddl_u1@localhost password expire
;;
rename user ddl_u1@localhost to ddl_u2@localhost
;;
drop user ddl_u2@localhost
;;
create role ddl_r1
;;
drop role ddl_r1
;;
flush tables
;;
flush privileges
;;
analyze table t
;;
optimize table t
;;
repair table t
;;
check table t
;;
create index i1 on t (b)
;;
drop index i1 on t
;;
create fulltext index i2 on t (b)
;;
alter table t drop index i2
;;
create server ddl_s foreign data wrapper mysql options (user 'x', host 'localhost', database 'test')
;;
drop server ddl_s
;;
create spatial reference system if not exists 990001 name 'ddl' definition 'GEOGCS["WGS 84",DATUM["World Geodetic System 1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.017453292519943278,AUTHORITY["EPSG","9122"]],AXIS["Lat",NORTH],AXIS["Lon",EAST],AUTHORITY["EPSG","4326"]]'
;;
drop spatial reference system if exists 990001
;;
create database if not exists ddl_other
;;
create schema ddl_other_two
;;
drop schema if exists ddl_other_two
;;
create table if not exists t (z int)
;;
drop table if exists t
