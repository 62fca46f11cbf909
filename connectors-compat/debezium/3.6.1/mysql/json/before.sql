-- JSON documents of every kind of value
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE docs (id INT PRIMARY KEY, j JSON, jn JSON NOT NULL);
INSERT INTO docs VALUES (1,NULL,'{}'),(2,'[]','null'),(3,'{"a": 1, "b": [true, false, null], "c": {"d": "e"}}','"text"');
