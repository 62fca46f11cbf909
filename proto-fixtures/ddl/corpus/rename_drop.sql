create table a (id int primary key, v varchar(5))
;;
create table b (id int primary key, w int) comment='bb'
;;
create table c (id int)
;;
create table d (id int)
;;
rename table a to a2, b to b2
;;
rename table a2 to tmp, b2 to a2, tmp to b2
;;
RENAME TABLE `a2` TO `ddl_rename_drop`.`a3`
;;
rename   table   c   to   `c 2`  ,  d to d2
;;
create database ddl_rename_other
;;
rename table d2 to ddl_rename_other.d2, b2 to ddl_rename_other.`b3`
;;
rename table ddl_rename_other.d2 to d
;;
alter table ddl_rename_other.b3 rename to ddl_rename_drop.b
;;
drop table `c 2`, d
;;
drop table if exists nosuch, b
;;
drop tables if exists nosuch
;;
create table e (id int)
;;
drop table e cascade
;;
create table e (id int, v2 int)
;;
drop table ddl_rename_drop.e restrict
;;
create table orders (id int primary key, v int)
;;
create /* gh-ost */ table `ddl_rename_drop`.`_orders_ghc` (
			id bigint unsigned auto_increment,
			last_update timestamp not null DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
			hint varchar(64) charset ascii not null,
			value varchar(4096) charset ascii not null,
			primary key(id),
			unique key hint_uidx(hint)
		) auto_increment=256
;;
create /* gh-ost */ table `ddl_rename_drop`.`_orders_gho` like `ddl_rename_drop`.`orders`
;;
alter /* gh-ost */ table `ddl_rename_drop`.`_orders_gho` add column status varchar(10) default 'new'
;;
create /* gh-ost */ table `ddl_rename_drop`.`_orders_del` (
			id int auto_increment primary key
		) engine=InnoDB comment='ghost-cut-over-sentry'
;;
drop /* gh-ost */ table if exists `ddl_rename_drop`.`_orders_del`
;;
rename /* gh-ost */ table `ddl_rename_drop`.`orders` to `ddl_rename_drop`.`_orders_del`, `ddl_rename_drop`.`_orders_gho` to `ddl_rename_drop`.`orders`
;;
drop /* gh-ost */ table if exists `ddl_rename_drop`.`_orders_ghc`
;;
drop /* gh-ost */ table if exists `ddl_rename_drop`.`_orders_del`
;;
CREATE TABLE `ddl_rename_drop`.`_orders_new` (
  `id` int(11) NOT NULL,
  `v` int(11) DEFAULT NULL,
  `status` varchar(10) DEFAULT 'new',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
;;
ALTER TABLE `ddl_rename_drop`.`_orders_new` ADD COLUMN note text, DROP COLUMN v
;;
CREATE TRIGGER `pt_osc_ddl_orders_del` AFTER DELETE ON `ddl_rename_drop`.`orders` FOR EACH ROW DELETE IGNORE FROM `ddl_rename_drop`.`_orders_new` WHERE `ddl_rename_drop`.`_orders_new`.`id` <=> OLD.`id`
;;
ANALYZE TABLE `ddl_rename_drop`.`_orders_new` /* pt-online-schema-change */
;;
RENAME TABLE `ddl_rename_drop`.`orders` TO `ddl_rename_drop`.`_orders_old`, `ddl_rename_drop`.`_orders_new` TO `ddl_rename_drop`.`orders`
;;
DROP TABLE IF EXISTS `ddl_rename_drop`.`_orders_old`
;;
DROP TRIGGER IF EXISTS `ddl_rename_drop`.`pt_osc_ddl_orders_del`
;;
truncate table orders
;;
truncate orders
;;
drop database ddl_rename_other
