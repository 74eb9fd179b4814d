package cli

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// said runs a program of two verbs, and returns what it says of its arguments.
func said(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	a := New("dalaba", args, strings.NewReader(""), &o, &e)
	plan := a.JSONFlag(&cobra.Command{Use: "plan", RunE: func(*cobra.Command, []string) error { return nil }})
	f := plan.Flags()
	f.IntP("days", "d", 1, "")
	f.Float64("level", 0, "")
	f.Int64("to", 0, "")
	f.Duration("for", time.Second, "")
	f.StringSlice("tag", nil, "")
	f.String("since", "", "")
	parent := &cobra.Command{Use: "alert", Args: a.NoArgs, RunE: func(*cobra.Command, []string) error { return nil }}
	parent.AddCommand(&cobra.Command{Use: "list", Run: func(*cobra.Command, []string) {}})
	code = a.Execute(context.Background(), a.Root("short", "long", plan, parent), args)
	return code, o.String(), strings.TrimSpace(e.String())
}

// A mistake in the arguments is put into the user's language, whatever it is.
func TestAMistakeInTheArgumentsIsSaidInWords(t *testing.T) {
	for _, c := range []struct {
		args   string
		zh, en string
	}{
		{"staus", "没有“staus”这个命令；", `there is no verb "staus"; "dalaba --help" lists them`},
		{"paln", "没有“paln”这个命令，是不是“plan”？", `there is no verb "paln"; did you mean "plan"?`},
		{"pl", "是不是“plan”？", `did you mean "plan"?`},
		{"zzz", "没有“zzz”这个命令；“dalaba --help”列出所有命令", `there is no verb "zzz"; "dalaba --help" lists them`},
		{"alert lst", "没有“lst”这个命令，是不是“list”？", `did you mean "list"? "dalaba alert --help"`},
		{"plan more", "多余的参数", `argument "more" is not wanted`},
		{"plan --dayz 3", "没有 --dayz 这个选项，是不是 --days？", "there is no flag --dayz; did you mean --days?"},
		{"plan --zzz", "没有 --zzz 这个选项；", "there is no flag --zzz; --help"},
		{"plan -z", "没有 -z 这个选项", "there is no flag -z; --help"},
		{"plan -天 3", "没有 -天 这个选项", "there is no flag -天; --help"},
		{"plan --days", "选项 --days 后面要写上它的值", "flag --days needs a value after it"},
		{"plan -d", "选项 --days 后面要写上它的值", "flag --days needs a value after it"},
		{"plan --days x", "--days 的值“x”不是数字", "--days x is no number"},
		{"plan --days 99999999999999999999", "太大或太小", "is too large or too small"},
		{"plan --level x", "--level 的值“x”不是数字", "--level x is no number"},
		{"plan --to x", "--to 的值“x”不是数字", "--to x is no number"},
		{"plan --for 5", "--for 的值“5”不是时长", "--for 5 is no length of time"},
		{"plan --json=x", "--json 的值“x”不对", `--json cannot be "x"`},
		{`plan --tag a"b`, `--tag 的值“a"b”看不懂`, `--tag a"b cannot be read`},
		{"plan --=x", "选项“--=x”的写法不对", `flag "--=x" is not well formed`},
		{"completion", "要哪种 shell", "for which shell?"},
		{"completion tcsh", "要哪种 shell", "for which shell?"},
	} {
		for lang, want := range map[string]string{"zh-CN": c.zh, "en": c.en} {
			code, _, got := said(t, append(strings.Fields(c.args), "--lang", lang)...)
			if strings.HasSuffix(c.args, "--days") || strings.HasSuffix(c.args, "-d") {
				code, _, got = said(t, append([]string{"--lang=" + lang}, strings.Fields(c.args)...)...)
			}
			if code != ExitRefused || !strings.Contains(got, want) {
				t.Errorf("%s %s: exit %d, %q, want %q", lang, c.args, code, got, want)
			}
			if raw := regexp.MustCompile(`unknown|invalid|parsing|syntax|argument:`).FindString(got); raw != "" {
				t.Errorf("%s %s: %q is the library's", lang, c.args, got)
			}
		}
	}
}

func TestTheVersionIsAVerbToo(t *testing.T) {
	_, flag, _ := said(t, "--version", "--lang=en")
	_, verb, _ := said(t, "version", "--lang=en")
	if want := "dalaba version " + Version() + "\n"; flag != want || verb != want {
		t.Errorf("%q and %q, want %q", flag, verb, want)
	}
	if _, got, _ := said(t, "version", "--json"); got != `{"program":"dalaba","version":"`+Version()+"\"}\n" {
		t.Error(got)
	}
}

func TestShellsCompleteVerbsAndValues(t *testing.T) {
	for shell, want := range map[string]string{"bash": "complete -o default", "zsh": "#compdef dalaba", "fish": "complete -c dalaba"} {
		if code, out, _ := said(t, "completion", shell); code != ExitOK || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d, %.200s", shell, code, out)
		}
	}
	for args, want := range map[string]string{"pl": "plan", "completion ": "bash", "alert ": "list", "plan --lang ": "zh-CN"} {
		if _, out, _ := said(t, append([]string{"__complete"}, strings.Split(args, " ")...)...); !strings.Contains(out, want) {
			t.Errorf("%q is completed with %q, not with %q", args, out, want)
		}
	}
}
