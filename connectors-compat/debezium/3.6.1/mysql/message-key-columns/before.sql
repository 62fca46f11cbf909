-- Keys chosen by message.key.columns
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE with_key (id INT PRIMARY KEY, region VARCHAR(10) NOT NULL, code INT NOT NULL, v INT);
CREATE TABLE no_key (region VARCHAR(10), code INT, v INT);
INSERT INTO with_key VALUES (1,'eu',1,1),(2,'us',2,2);
INSERT INTO no_key VALUES ('eu',1,1),(NULL,2,2);
