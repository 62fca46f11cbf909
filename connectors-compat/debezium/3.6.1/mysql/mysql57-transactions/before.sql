-- Transactions over several rows and tables, with transaction metadata
CREATE DATABASE compat CHARACTER SET utf8mb4;
USE compat;
CREATE TABLE accounts (id INT PRIMARY KEY, balance DECIMAL(12,2) NOT NULL);
CREATE TABLE entries (id INT AUTO_INCREMENT PRIMARY KEY, account INT NOT NULL, amount DECIMAL(12,2) NOT NULL, KEY (account));
CREATE TABLE audit (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(40));
INSERT INTO accounts VALUES (1,100),(2,200),(3,300);
INSERT INTO entries (account,amount) VALUES (1,100),(2,200);
