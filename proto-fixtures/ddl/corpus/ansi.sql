create table "quoted" ("a b" int, "c""d" int not null, e varchar(10) default 'x"y', f enum('"','it''s') default '"', primary key ("c""d"))
;;
alter table "quoted" add column "select" int comment 'q' after "a b", drop "e"
;;
create table "ddl_ansi"."t2" ("id" int primary key, `tick` int)
;;
rename table "quoted" to "re""named"
;;
drop table "t2"
