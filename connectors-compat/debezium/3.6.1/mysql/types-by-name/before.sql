-- Synonyms of types and spellings that only streamed statements have
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE first (id INT PRIMARY KEY, b BOOL, r REAL, d DEC(5,1), f8 FLOAT8, nc NATIONAL CHAR(5));
INSERT INTO first VALUES (1,true,1.5,1.5,2.5,'é');
