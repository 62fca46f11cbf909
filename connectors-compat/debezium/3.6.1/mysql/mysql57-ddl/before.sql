-- Schema changes between rows, with the schema-change topic
CREATE DATABASE compat CHARACTER SET utf8mb4;
USE compat;
CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(20), qty INT NOT NULL DEFAULT 0);
CREATE TABLE other (id INT PRIMARY KEY, v INT);
INSERT INTO items VALUES (1,'one',1),(2,'two',2);
INSERT INTO other VALUES (1,1);
