-- Odd names under the Unicode strategies; another name for the transaction topic
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE `odd_name` (`a_b` INT PRIMARY KEY, `ünïcode` VARCHAR(10), `1st` INT, `dash-ed` INT, `漢字` INT);
CREATE TABLE `größe $1` (`Id` INT PRIMARY KEY, `x.y` INT);
INSERT INTO `odd_name` VALUES (1,'ä',1,1,1),(2,'b',2,2,2);
INSERT INTO `größe $1` VALUES (1,1);
