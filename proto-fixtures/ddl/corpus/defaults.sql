create table nums (a int default 5, b int default '7', c int default -3, d int default +4, e int default null, f int not null default 0, g bigint default 18446744073, h decimal(5,2) default 1.5, i decimal(5,2) default '-2.25', j float default 1e3, k double default -1.5e-2, l decimal(5,2) default -.5, m int default '1e2', n int unsigned zerofill default 42, o int default 1.6, p int default 0x10, q int default x'10', r int default b'11', s int default 0b11)
;;
create table bools (a bool default true, b bool default false, c boolean not null default TRUE, d tinyint(1) default 1, e tinyint(1) not null default '0', f bool default null)
;;
create table bitd (a bit default b'1', b bit(3) default b'101', c bit(8) default x'41', d bit(4) default 5, e bit(8) default 0b11)
;;
create table strs (a varchar(20) default 'abc', b varchar(20) default '', c varchar(20) default 'it''s', d varchar(20) default 'a\'b', e varchar(20) default 'a\\b', f varchar(20) default "double", g varchar(20) default "d""q", h varchar(20) default _utf8'intro', i varchar(20) default N'nat', j varchar(20) default 'two' ' parts', k char(3) default 5, l varchar(20) default x'4142', m varchar(20) default null, n varchar(30) default 'null', o varchar(20) default '  sp  ', p varchar(20) default 'ünï€', q varchar(20) default '😀', r varchar(20) default 'a;b--c/*d*/', s varchar(20) default 'tab\t', t varchar(20) default _latin1 'x' collate latin1_bin, u varchar(10) default true)
;;
create table ens (a enum('a','b') default 'b', b enum('a','b') not null, c set('x','y') default 'x,y', d set('x','y') not null default '', e enum('it''s') default 'it''s')
;;
create table dts (a date default '2020-02-03', b date default '0001-01-01', c datetime default '2020-02-03 04:05:06', d datetime(3) default '2020-02-03 04:05:06.789', e timestamp default '2020-02-03 04:05:06', f timestamp(6) not null default '2020-02-03 04:05:06.123456', g time default '12:34:56', h time(2) default '-100:00:00.25', i year default 2020, j year default '0000', k datetime default 0, l date default 20200203, m datetime default '20200203040506', n time default 0)
;;
create table nows (a timestamp default current_timestamp, b timestamp not null default current_timestamp(), c timestamp default now() on update now(), d datetime default localtime, e datetime default localtimestamp(), f datetime(6) default current_timestamp(6) on update current_timestamp(6), g datetime on update current_timestamp, h timestamp not null default current_timestamp on update current_timestamp comment 'x', i datetime default null on update current_timestamp, j timestamp(3) default now(3) on update now(3), k datetime not null default CURRENT_TIMESTAMP)
;;
create table exprs (a varchar(36) default (uuid()), b json default (json_array()), c int default (1+1), d date default (curdate()), e int not null default (5*(2+3)), f blob default ('abc'), g datetime default (now()), h varchar(10) not null default (concat('a',')','b')), i point default (point(0,0)))
;;
create table hexes (a binary(3) default 'abc', b varbinary(5) default x'0102', c binary(2) default 0xFFFE, d varbinary(9) default 'it''s')
;;
create table ai (id int not null auto_increment primary key, a int default 1)
;;
alter table nums alter column a set default 9, alter b set default '8', alter column f drop default, alter c drop default
;;
alter table nums alter d set default null, alter e set default -1
;;
alter table nums modify a int, modify b int not null, modify h decimal(7,3) default 2
;;
alter table strs alter a set default 'new', alter b set default "it's"
;;
alter table nums add column z1 int default 3, add z2 varchar(5) not null default 'q' after a
;;
alter table nows modify a timestamp null default null, modify k datetime(3) default current_timestamp(3)
