-- Tables without a key
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE heap (a INT, b VARCHAR(20), c DOUBLE);
CREATE TABLE nullable_unique (a INT, b INT, UNIQUE KEY (a));
INSERT INTO heap VALUES (1,'one',1.5),(1,'one',1.5),(NULL,NULL,NULL);
INSERT INTO nullable_unique VALUES (1,1),(NULL,2);
