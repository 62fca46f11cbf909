//! mysql-ddl
