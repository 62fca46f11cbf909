-- History and schema-change topic of captured tables only
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE kept (id INT PRIMARY KEY, v INT);
CREATE TABLE dropped (id INT PRIMARY KEY, v INT);
INSERT INTO kept VALUES (1,1);
INSERT INTO dropped VALUES (1,1);
CREATE DATABASE aside;
CREATE TABLE aside.t (id INT PRIMARY KEY);
