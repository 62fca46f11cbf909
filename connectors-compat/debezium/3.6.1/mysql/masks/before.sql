-- Rules on columns of every kind: keys, numbers, bytes, NULL; types propagated by type
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE people (id VARCHAR(10) PRIMARY KEY, name VARCHAR(20) NOT NULL DEFAULT 'nobody', n INT, n2 INT, card VARCHAR(20), city CHAR(4), note TEXT, raw VARBINARY(20), short VARCHAR(3), price DECIMAL(8,2) COMMENT 'in euros', plain VARCHAR(7));
INSERT INTO people VALUES ('a','Ann',1,1,'4111','Oslo','a long note 😀','0123456789','abc',1.5,'p');
INSERT INTO people (id) VALUES ('b');
