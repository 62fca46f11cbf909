-- Deletes and key changes without tombstones
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE single (id INT PRIMARY KEY, v VARCHAR(20));
CREATE TABLE pair (a INT NOT NULL, b VARCHAR(10) NOT NULL, v VARCHAR(20), PRIMARY KEY (b, a));
CREATE TABLE uniq (a INT NOT NULL, b INT NOT NULL, v VARCHAR(20), UNIQUE KEY by_b (b));
INSERT INTO single VALUES (1,'one'),(2,'two'),(3,'three');
INSERT INTO pair VALUES (1,'x','one'),(2,'y','two');
INSERT INTO uniq VALUES (1,10,'one'),(2,20,'two');
