-- Odd names of tables and columns under the Avro naming rules; truncation
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE `odd name` (`a b` INT PRIMARY KEY, `ünïcode` VARCHAR(10), `1st` INT, `dash-ed` INT, `dot.ted` INT);
CREATE TABLE `UPPER` (`Id` INT PRIMARY KEY, `Mixed` INT);
INSERT INTO `odd name` VALUES (1,'ä',1,1,1),(2,'b',2,2,2);
INSERT INTO `UPPER` VALUES (1,1);
