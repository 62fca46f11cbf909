-- Heartbeats beside rows, and a heartbeat statement
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE beats (id INT AUTO_INCREMENT PRIMARY KEY, at INT);
CREATE TABLE rows_table (id INT PRIMARY KEY, v INT);
INSERT INTO rows_table VALUES (1,1),(2,2),(3,3);
