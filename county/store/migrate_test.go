package store_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"dalaba/county/store"
)

// A later program has added to the schema, and was taken back.
func TestTodaysProgramOpensWhatALaterOneAddedTo(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			o := options(t, kind)
			once(t, o)
			driver, name := "pgx", o.URL
			if kind == "sqlite" {
				driver, name = "sqlite3", filepath.Join(o.Dir, "county.db")
			}
			db, err := sql.Open(driver, name)
			if err != nil {
				t.Fatal(err)
			}
			for _, statement := range []string{
				"CREATE TABLE IF NOT EXISTS added (number BIGINT NOT NULL PRIMARY KEY)", "INSERT INTO added (number) VALUES (9999)",
				"ALTER TABLE controller ADD COLUMN later TEXT",
			} {
				if _, err := db.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			s := open(t, o)
			addController(t, s, "c1", "341523100201")
			if _, err := s.Fleet(t.Context(), store.FleetQuery{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// once opens a store and closes it again.
func once(t *testing.T, o store.Options) {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
