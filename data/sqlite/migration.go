package sqlite

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Migration is one step of a schema. Its file is named NNNN_what.sql, or
// NNNN_what.adds.sql if it only adds tables, columns and indexes: then a
// program that does not know the step can still open the database and use it.
// Since the first release every new step must be of that kind, so that the
// program one version back can be installed again.
type Migration struct {
	Number int // from 1
	Name   string
	Text   string
	Adds   bool
}

// Migrations reads the files at the root of a file system. They must be
// numbered 1, 2, 3 and so on without a gap.
func Migrations(f fs.FS) ([]Migration, error) {
	names, err := fs.Glob(f, "*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	all := make([]Migration, 0, len(names))
	for i, name := range names {
		number, _, ok := strings.Cut(name, "_")
		if n, err := strconv.Atoi(number); !ok || err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s: %04d_<what>.sql should come here", name, i+1)
		}
		text, err := fs.ReadFile(f, name)
		if err != nil {
			return nil, err
		}
		all = append(all, Migration{i + 1, name, string(text), strings.HasSuffix(name, ".adds.sql")})
	}
	return all, nil
}
