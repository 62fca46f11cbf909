-- XA transactions, savepoints and rollbacks beside plain transactions, with transaction metadata
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(10));
CREATE TABLE b (id INT PRIMARY KEY, v VARCHAR(10));
INSERT INTO a VALUES (1,'a');
