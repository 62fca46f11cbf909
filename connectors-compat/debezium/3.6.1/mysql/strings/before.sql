-- Character columns in a dozen character sets, with schemas
CREATE DATABASE compat CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
USE compat;
CREATE TABLE strings (
  id INT PRIMARY KEY,
  c CHAR(10), v VARCHAR(100), tt TINYTEXT, tx TEXT, mt MEDIUMTEXT, lt LONGTEXT,
  latin VARCHAR(50) CHARACTER SET latin1, cyr VARCHAR(50) CHARACTER SET cp1251, u2 VARCHAR(50) CHARACTER SET ucs2,
  u16 VARCHAR(50) CHARACTER SET utf16, u32 CHAR(10) CHARACTER SET utf32, u3 VARCHAR(50) CHARACTER SET utf8,
  gb VARCHAR(50) CHARACTER SET gbk, sj VARCHAR(50) CHARACTER SET sjis, kr VARCHAR(50) CHARACTER SET euckr,
  asc7 VARCHAR(50) CHARACTER SET ascii, bincol VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
) CHARACTER SET utf8mb4;
CREATE TABLE keyed (k VARCHAR(40) NOT NULL, k2 CHAR(3) NOT NULL, v TEXT, PRIMARY KEY (k, k2));
INSERT INTO strings VALUES (1,'','','','','','','','','','','','','','','','','');
INSERT INTO strings VALUES (2,'abc  ','grüße, "quoted" \\ back','tiny','line 1\nline 2\ttab','medium 😀','long € 漢字','crème brûlée €','Привет','Ωmega','😀 pair','数','日本語','中文','日本','한국어','plain','Bin');
INSERT INTO strings (id) VALUES (3);
INSERT INTO keyed VALUES ('plain','a','1'),('ключ 😀','b','2');
