/* leading */ create table c1 (id int /* the id */ primary key, -- line
 a int, # hash
 b int /*!50100 not null */ default 5 /*!80000 comment 'v' */, /* , x int */ c varchar(15) default '/* no */')
;;
-- first line
create table c2 (id int)
;;
create table c3 (id int) /* trailing */
;;
create table c4 (id int /*!50000 , extra int */)
;;
CREATE TABLE `c5` (`id` int(11) NOT NULL, `d` date DEFAULT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8 /*!50100 PARTITION BY HASH (id) PARTITIONS 4 */
;;
/*!40101 create table c6 (id int) */
;;
create table /*!32312 if not exists*/ c7 (id int)
;;
create table /*+ hint */ c8 (id int)
;;
alter table c1 /* x */ add /* y */ column d int /* z */
;;
/*!50003 alter table c1 add e int */
;;
alter table c1 add f int/**/,add g int-- eol
;;
alter table c1 add h int
;;
drop table c2 /* bye */
;;
/* ApplicationName=DBeaver 7.1 - Main */ ALTER TABLE c1 ADD i varchar(100) NULL
;;
create table c9 (id int, /*!99999 future int, */ a int)
;;
create table c10 (a int) # end
;;
create	table
c11
(
  a	int
    not
  null,
  b int
)
;;
CREATE TABLE `c12` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `v` varchar(10) /*!50606 STORAGE DISK */ /*!50606 COLUMN_FORMAT DYNAMIC */ DEFAULT NULL,
  `g` varchar(10) GENERATED ALWAYS AS (`v`) VIRTUAL,
  PRIMARY KEY (`id`) /*!50600 COMMENT 'x' */
) /*!50100 TABLESPACE `innodb_system` */ ENGINE=InnoDB AUTO_INCREMENT=5 DEFAULT CHARSET=latin1 ROW_FORMAT=DYNAMIC
