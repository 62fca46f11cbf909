-- A list of columns to include; skipped unchanged messages
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE people (id INT PRIMARY KEY, name VARCHAR(40), email VARCHAR(60), phone VARCHAR(20) NOT NULL, card CHAR(16), secret VARCHAR(40), note TEXT, born DATE, salary DECIMAL(10,2), raw VARBINARY(20));
CREATE TABLE places (id INT PRIMARY KEY, name VARCHAR(40), secret VARCHAR(40));
INSERT INTO people VALUES (1,'Ann','ann@example.org','+1 555','4111111111111111','s1','short','1990-01-01',100.50,x'00112233'),(2,NULL,NULL,'','','','a note that is longer than ten','1980-01-01',NULL,NULL);
INSERT INTO places VALUES (1,'home','x'),(2,'work',NULL);
