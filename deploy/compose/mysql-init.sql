-- Run once by the MySQL image: the sample database and the account of the connector and of the sample data.
CREATE DATABASE IF NOT EXISTS project_db;
CREATE USER IF NOT EXISTS 'admin'@'%' IDENTIFIED BY 'admin';
GRANT SELECT, RELOAD, SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT, LOCK TABLES ON *.* TO 'admin'@'%';
GRANT ALL ON project_db.* TO 'admin'@'%';
