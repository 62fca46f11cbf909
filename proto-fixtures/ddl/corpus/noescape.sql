create table t (a varchar(10) default '\', b varchar(10) default 'x\', c varchar(20) default 'it''s \n', d enum('\','b\') default '\')
;;
alter table t add e varchar(5) comment '\' default 'q\', add f int
