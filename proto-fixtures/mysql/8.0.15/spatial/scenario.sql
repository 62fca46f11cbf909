-- Geometry columns, whose cells are only bounded here.
CREATE DATABASE fx; USE fx;
CREATE TABLE g (id INT PRIMARY KEY, g GEOMETRY, p POINT, l LINESTRING, y POLYGON, mp MULTIPOINT, c GEOMETRYCOLLECTION);
INSERT INTO g VALUES (1, ST_GeomFromText('POINT(1 2)', 0), ST_GeomFromText('POINT(10 20)', 4326), ST_GeomFromText('LINESTRING(0 0,1 1)'), ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'), ST_GeomFromText('MULTIPOINT(1 1,2 2)'), ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))')), (2, NULL, NULL, NULL, NULL, NULL, NULL);
