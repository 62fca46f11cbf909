-- Statements about several tables, keys from unique indexes, comments, generated columns
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE commented (id INT PRIMARY KEY COMMENT 'the id', v VARCHAR(10) COMMENT 'it''s v') COMMENT='a table';
CREATE TABLE uniq (a INT NOT NULL, b INT NOT NULL, c INT, UNIQUE KEY uc (c), UNIQUE KEY uab (b, a));
CREATE TABLE gen (id INT PRIMARY KEY AUTO_INCREMENT, a INT, d INT GENERATED ALWAYS AS (a*2) STORED, w INT AS (a+1) VIRTUAL, t TIMESTAMP NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP);
INSERT INTO commented VALUES (1,'a');
INSERT INTO uniq VALUES (1,2,3);
INSERT INTO gen (a) VALUES (5);
