-- Shards routed to one topic: names, keys with the field that tells them apart, tables without key
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE shard_1_orders (id INT PRIMARY KEY, v VARCHAR(10));
CREATE TABLE shard_2_orders (id INT PRIMARY KEY, v VARCHAR(10));
CREATE TABLE shard_3_log (v VARCHAR(10));
CREATE TABLE other (id INT PRIMARY KEY, v VARCHAR(10));
INSERT INTO shard_1_orders VALUES (1,'a'),(2,'b');
INSERT INTO shard_2_orders VALUES (1,'c');
INSERT INTO shard_3_log VALUES ('d');
INSERT INTO other VALUES (1,'e');
