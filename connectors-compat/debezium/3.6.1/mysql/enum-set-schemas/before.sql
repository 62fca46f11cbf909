-- ENUM and SET with schemas
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE choices (
  id INT PRIMARY KEY,
  e ENUM('small','medium','large'), en ENUM('a','b','c') NOT NULL DEFAULT 'b', eu ENUM('größe','€','日本') CHARACTER SET utf8mb4,
  el ENUM('ä','ö','ü') CHARACTER SET latin1, eq ENUM('it''s','"dq"','back\\slash','', ' lead'),
  s SET('read','write','execute'), sn SET('x','y','z') NOT NULL DEFAULT 'x,z', sl SET('ä','ß') CHARACTER SET latin1, one SET('only')
);
CREATE TABLE keyed (e ENUM('one','two','three') NOT NULL, n INT NOT NULL, v INT, PRIMARY KEY (e,n));
INSERT INTO choices VALUES (1,'small','a','größe','ä','it''s','','','',''),(2,'large','c','日本','ü','"dq"','read,write,execute','x,y,z','ä,ß','only');
INSERT INTO choices (id) VALUES (3);
INSERT INTO keyed VALUES ('one',1,1),('two',2,2);
