package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"dalaba/playlist/say"
)

// With --json the output is one JSON value on stdout whatever happens, or one
// for each line; the exit code is the same as without.
func TestAFailureIsWrittenAsJSONWithTheFlag(t *testing.T) {
	errs := map[string]error{
		"fails": say.M("cli.no_verb", "x", "dalaba"), "refuses": Refuse(errors.New("no")), "works": nil, "answers": ErrTold,
		"tells": Refuse(ErrTold), "streams": errors.New("broken off"),
	}
	for _, c := range []struct {
		args string
		code int
		out  string // without --json: what the verb itself writes
		json string
	}{
		{"works", ExitOK, "", ""},
		{"fails", ExitFailed, "", `{"error":"there is no verb \"x\"; \"dalaba --help\" lists them"}`},
		{"refuses", ExitRefused, "", `{"error":"no"}`},
		{"tells", ExitRefused, "", `{"error":"first\nsecond"}`},
		{"answers", ExitFailed, `{"ok":false}`, `{"ok":false}`},
		{"streams", ExitFailed, `{"event":1}`, `{"event":1}` + "\n" + `{"error":"broken off"}`},
		{"works --bad", ExitRefused, "", `{"error":"there is no flag --bad; --help tells the flags"}`},
		{"works more", ExitRefused, "", `{"error":"argument \"more\" is not wanted; --help tells what is"}`},
	} {
		for _, asJSON := range []bool{false, true} {
			args, want := append(strings.Fields(c.args), "--lang=en"), c.out
			if asJSON {
				args, want = append(args, "--json"), c.json
			}
			var out, errOut bytes.Buffer
			a := New("dalaba", args, strings.NewReader(""), &out, &errOut)
			var verbs []*cobra.Command
			for name, err := range errs {
				verbs = append(verbs, a.JSONFlag(&cobra.Command{Use: name, RunE: func(*cobra.Command, []string) error {
					switch name {
					case "answers":
						fmt.Fprint(a.Out, `{"ok":false}`)
					case "streams":
						a.Stream = true
						fmt.Fprintln(a.Out, `{"event":1}`)
					case "tells":
						a.Tell("first")
						a.Tell("second")
					}
					return err
				}}))
			}
			code := a.Execute(context.Background(), a.Root("short", "long", verbs...), args)
			if code != c.code || strings.TrimSpace(out.String()) != want {
				t.Errorf("%v: exit %d, %q; want %d, %q", args, code, out.String(), c.code, want)
			}
			for line := range strings.Lines(strings.TrimSpace(out.String())) {
				if !json.Valid([]byte(line)) {
					t.Errorf("%v: %q", args, line)
				}
			}
			if c.code != ExitOK && c.args != "answers" && errOut.Len() == 0 {
				t.Errorf("%v: nothing on stderr", args)
			}
		}
	}
}
