/*!40101 SET NAMES utf8 */
;;
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `ddl_mysqldump` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */
;;
DROP TABLE IF EXISTS `actor`
;;
/*!40101 SET @saved_cs_client     = @@character_set_client */
;;
/*!50503 SET character_set_client = utf8mb4 */
;;
CREATE TABLE `actor` (
  `actor_id` smallint(5) unsigned NOT NULL AUTO_INCREMENT,
  `first_name` varchar(45) NOT NULL,
  `last_name` varchar(45) NOT NULL,
  `last_update` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (`actor_id`),
  KEY `idx_actor_last_name` (`last_name`)
) ENGINE=InnoDB AUTO_INCREMENT=201 DEFAULT CHARSET=utf8
;;
LOCK TABLES `actor` WRITE
;;
/*!40000 ALTER TABLE `actor` DISABLE KEYS */
;;
/*!40000 ALTER TABLE `actor` ENABLE KEYS */
;;
UNLOCK TABLES
;;
DROP TABLE IF EXISTS `film`
;;
CREATE TABLE `film` (
  `film_id` smallint(5) unsigned NOT NULL AUTO_INCREMENT,
  `title` varchar(255) NOT NULL,
  `description` text,
  `release_year` year(4) DEFAULT NULL,
  `language_id` tinyint(3) unsigned NOT NULL,
  `original_language_id` tinyint(3) unsigned DEFAULT NULL,
  `rental_duration` tinyint(3) unsigned NOT NULL DEFAULT '3',
  `rental_rate` decimal(4,2) NOT NULL DEFAULT '4.99',
  `length` smallint(5) unsigned DEFAULT NULL,
  `replacement_cost` decimal(5,2) NOT NULL DEFAULT '19.99',
  `rating` enum('G','PG','PG-13','R','NC-17') DEFAULT 'G',
  `special_features` set('Trailers','Commentaries','Deleted Scenes','Behind the Scenes') DEFAULT NULL,
  `last_update` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (`film_id`),
  KEY `idx_title` (`title`),
  KEY `idx_fk_language_id` (`language_id`)
) ENGINE=InnoDB AUTO_INCREMENT=1001 DEFAULT CHARSET=utf8
;;
CREATE TABLE `address` (
  `address_id` smallint(5) unsigned NOT NULL AUTO_INCREMENT,
  `address` varchar(50) NOT NULL,
  `phone` varchar(20) NOT NULL,
  `location` geometry /*!80003 SRID 0 */ NOT NULL,
  `last_update` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (`address_id`),
  SPATIAL KEY `idx_location` (`location`)
) ENGINE=InnoDB AUTO_INCREMENT=606 DEFAULT CHARSET=utf8
;;
CREATE TABLE `wp_posts` (
  `ID` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `post_author` bigint(20) unsigned NOT NULL DEFAULT '0',
  `post_date` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `post_content` longtext COLLATE utf8mb4_unicode_520_ci NOT NULL,
  `post_title` text COLLATE utf8mb4_unicode_520_ci NOT NULL,
  `post_status` varchar(20) COLLATE utf8mb4_unicode_520_ci NOT NULL DEFAULT 'publish',
  `to_ping` text COLLATE utf8mb4_unicode_520_ci NOT NULL,
  `menu_order` int(11) NOT NULL DEFAULT '0',
  PRIMARY KEY (`ID`),
  KEY `post_name` (`post_title`(191)),
  KEY `type_status_date` (`post_status`,`post_date`,`ID`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci
;;
CREATE TABLE `events` (
  `id` char(36) CHARACTER SET ascii NOT NULL,
  `payload` json DEFAULT NULL,
  `kind` varchar(20) GENERATED ALWAYS AS (json_unquote(json_extract(`payload`,'$.kind'))) STORED,
  `created` datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  UNIQUE KEY `id` (`id`),
  KEY `kind` (`kind`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
/*!50100 PARTITION BY KEY (id)
PARTITIONS 8 */
;;
/*!50001 CREATE VIEW `actor_info` AS SELECT 1 AS `actor_id` */
;;
/*!50001 DROP VIEW IF EXISTS `actor_info` */
;;
/*!50001 CREATE ALGORITHM=UNDEFINED */ /*!50013 DEFINER=`cdc`@`%` SQL SECURITY DEFINER */ /*!50001 VIEW `film_list` AS select `film`.`film_id` AS `FID` from `film` */
