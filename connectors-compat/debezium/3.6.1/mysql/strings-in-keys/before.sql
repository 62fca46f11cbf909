-- Text, dates and floats in keys; keys by expression; no context headers
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE k1 (s VARCHAR(10) COLLATE utf8mb4_bin, d DATE, ts TIMESTAMP(3) DEFAULT '2020-01-01 00:00:00', PRIMARY KEY (d, s, ts));
CREATE TABLE k2 (f DOUBLE PRIMARY KEY, e ENUM('a','b'), bi BINARY(4), y YEAR);
CREATE TABLE byname (id INT PRIMARY KEY, name VARCHAR(10), nome VARCHAR(10), region INT);
INSERT INTO k1 VALUES ('x','2020-01-01','2020-01-01 00:00:00.120');
INSERT INTO k2 VALUES (1e10,'a','x',2020);
INSERT INTO byname VALUES (1,'a','b',NULL);
