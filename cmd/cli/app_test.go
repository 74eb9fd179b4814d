package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

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

func TestTheLanguageIsTheFlagsElseTheConfigsElseTheEnvironments(t *testing.T) {
	for _, c := range []struct {
		name, flag, site, latest, lang string
		want                           say.Lang
	}{
		{"nothing is said", "", "", "", "", say.Chinese},
		{"the environment alone", "", "", "", "en_US.UTF-8", say.English},
		{"a config over the environment", "", "zh-CN", "", "en_US.UTF-8", say.Chinese},
		{"a config over an environment of no language", "", "en", "", "C", say.English},
		{"an environment of no language", "", "zh-CN", "", "POSIX", say.Chinese},
		{"the flag over the config", "en", "zh-CN", "zh-CN", "zh_CN.UTF-8", say.English},
		{"a config read since", "", "zh-CN", "en", "zh_CN.UTF-8", say.English},
		{"the default of a config that names none", "", "", "zh-CN", "en_US.UTF-8", say.English},
	} {
		for key, value := range map[string]string{"LC_ALL": "", "LC_MESSAGES": "", "LANG": c.lang} {
			t.Setenv(key, value)
		}
		a := App{Lang: c.flag, Site: c.site}
		if got := a.Language(c.latest); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func TestALanguageThatThereIsNotIsRefused(t *testing.T) {
	t.Setenv("LC_ALL", "zh_CN.UTF-8")
	for _, c := range []struct{ name, lang, want string }{
		{"French", "fr", "x: --lang 没有“fr”；写 zh-CN 或 en\n"},
		{"a slip", "zn", "x: --lang 没有“zn”；写 zh-CN 或 en\n"},
		{"as the environment has it", "en_US.UTF-8", ""},
		{"Chinese", "zh", ""},
	} {
		var out, errs bytes.Buffer
		args := []string{"version", "--lang", c.lang}
		a := New("x", args, nil, &out, &errs)
		code := a.Execute(t.Context(), a.Root("", ""), args)
		if errs.String() != c.want || code != map[bool]int{true: ExitOK, false: ExitRefused}[c.want == ""] {
			t.Errorf("%s: exit %d, %s", c.name, code, errs.String())
		}
	}
}

func TestHelpShowsHowAFlagIsWritten(t *testing.T) {
	t.Setenv("LC_ALL", "zh_CN.UTF-8")
	a := New("x", nil, nil, &bytes.Buffer{}, &bytes.Buffer{})
	c, form := &cobra.Command{Use: "v"}, CSVForm("")
	a.CSVFlag(c, &form)
	for name, d := range map[string]time.Duration{"day": 24 * time.Hour, "five": 5 * time.Minute, "half": 90 * time.Minute, "ten": 10 * time.Second, "hundred": 100 * time.Second} {
		c.Flags().Duration(name, d, "")
	}
	for i, want := range [][2]string{
		{"    --csv[=raw]"}, {"    --day 时长", "（默认 24h）"}, {"    --five 时长", "（默认 5m）"}, {"    --half 时长", "（默认 1h30m）"},
		{"    --hundred 时长", "（默认 1m40s）"}, {"    --ten 时长", "（默认 10s）"},
	} {
		if got := a.flagLines(c.Flags())[i]; got[0] != want[0] || want[1] != "" && got[1] != want[1] {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
