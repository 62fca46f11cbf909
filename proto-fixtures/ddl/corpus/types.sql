create table ints (a tinyint, b tinyint(1), c tinyint(3) unsigned, d smallint signed, e mediumint(8) unsigned zerofill, f int, g integer(11), h bigint(20) unsigned, i int1, j int2 unsigned, k int3, l int4 zerofill, m int8(5), n middleint, o int(5) zerofill unsigned, p INTEGER UNSIGNED, q bigint signed)
;;
create table reals (a float, b float(20), c float(30), d float(7,3), e float4, f float8, g double, h double(10,2), i double precision, j double precision(12,4) unsigned, k real, l real(8,2), m float unsigned zerofill, n float(10) unsigned)
;;
create table decimals (a decimal, b decimal(5), c decimal(10,2), d numeric, e numeric(8,3) unsigned, f dec(4,1), g fixed(6,2) zerofill, h decimal(65,30), i decimal(0), j dec, k decimal (10 , 3))
;;
create table bits (a bit, b bit(1), c bit(7), d bit(64), e bool, f boolean, g bool not null)
;;
create table strings (a char, b char(10), c varchar(255), d character(5), e character varying(20), f char varying(9), g tinytext, h text, i mediumtext, j longtext, k text(1000), l varchar(20) binary, m char(3) binary, n text binary, o long, p long varchar, q varcharacter(12))
;;
create table nationals (a nchar(4), b nvarchar(5), c national char(3), d national character(6), e national varchar(7), f national char varying(8), g national character varying(9), h nchar varchar(10), i nchar varying(11), j national varcharacter(12))
;;
create table binaries (a binary, b binary(16), c varbinary(100), d tinyblob, e blob, f mediumblob, g longblob, h blob(500), i long varbinary, j char(3) byte)
;;
create table times (a date, b time, c time(3), d datetime, e datetime(6), f timestamp null, g timestamp(3) null default null, h year, i year(4), j timestamp not null default current_timestamp, k datetime(3) not null default current_timestamp(3) on update current_timestamp(3))
;;
create table sets (a enum('a','b','c'), b set('x','y','z'), c enum('one') not null, d enum('it''s','a,b','\'q\'','"') default 'it''s', e set('a') default '', f ENUM ( 'A' , 'B' ) character set latin1, g enum('b','a') collate latin1_bin, h set('1','2') binary, i enum('ä','€','😀'))
;;
create table jsons (a json, b json not null)
;;
create table shapes (a geometry, b point, c linestring, d polygon, e multipoint, f multilinestring, g multipolygon, h geometrycollection, i point not null srid 4326, j geomcollection)
;;
create table serials (id serial, v int)
;;
create table serial2 (id bigint unsigned serial default value, v int)
;;
CREATE TABLE `UPPER` (`Id` INT(10) UNSIGNED NOT NULL AUTO_INCREMENT, `Name` VARCHAR(64) CHARACTER SET utf8 COLLATE utf8_bin NOT NULL DEFAULT '', `Flag` ENUM('Y','N') NOT NULL DEFAULT 'N', PRIMARY KEY (`Id`), KEY `n` (`Name`(10)) USING BTREE) ENGINE=InnoDB AUTO_INCREMENT=17 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci COMMENT='Upper'
;;
create table charsets (a char(3) ascii, b char(3) unicode, c varchar(5) charset latin1, d varchar(5) character set 'utf8', e varchar(5) charset `greek`, f text character set koi8r collate koi8r_bin, g varchar(5) char set cp1251, h varchar(5) ascii binary, h2 varchar(5) charset latin1 binary, h3 varchar(5) binary ascii, i varchar(3) character set binary, j text charset binary, k varchar(3) charset UTF8MB4)
;;
create table collates (a varchar(5) collate latin1_german1_ci, b varchar(5) collate utf8mb4_0900_as_cs, c varchar(5) not null collate utf8_bin, d char(2) collate 'ucs2_bin', e enum('a') collate utf8mb4_bin, g varchar(3) COLLATE LATIN1_BIN) default charset=latin2
