// Package cli is what the command lines of the two programs share: the language
// of the terminal, exit codes, translated help, tables that line up with
// Chinese text, and instants as people type them.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"dalaba/playlist/say"
)

// Exit codes of a program.
const (
	ExitOK      = 0
	ExitFailed  = 1 // it was tried, and did not work
	ExitRefused = 2 // bad arguments or a bad config: nothing was tried
)

// Refused marks an error that ends the program with ExitRefused.
type Refused struct{ error }

// Refuse marks an error as Refused.
func Refuse(err error) Refused { return Refused{err} }

// Unwrap returns the error that was marked.
func (r Refused) Unwrap() error { return r.error }

// ErrTold ends a verb that has already shown its error to the user.
var ErrTold = errors.New("told")

// App holds what every verb needs.
type App struct {
	Name     string // of the program
	In       io.Reader
	Out, Err io.Writer
	Lang     string // --lang
	Site     string // the language that the site's config names; empty: none, or not read yet
	JSON     bool   // --json
	Owner    string // of the data folder, as whom a program of root works; empty: it works as who started it

	// Stream is set by verbs whose JSON is one line for each event: an error is
	// one more line. Other verbs write one JSON value, their result or the
	// error.
	Stream bool

	verb    *cobra.Command // that runs
	shown   []string       // errors already shown to the user
	jsonOut *jsonWriter    // where --json writes; nil without --json
	screens [2]*Screen     // stdout and stderr
}

// jsonWriter notes whether anything was written.
type jsonWriter struct {
	io.Writer
	begun bool
}

func (w *jsonWriter) Write(b []byte) (int, error) {
	w.begun = w.begun || len(b) > 0
	return w.Writer.Write(b)
}

// New makes an App in the language that the arguments ask for, so that help is
// in that language too.
func New(name string, args []string, in io.Reader, out, errOut io.Writer) *App {
	a := &App{Name: name, In: in, Lang: langFlag(args), screens: [2]*Screen{newScreen("stdout", out), newScreen("stderr", errOut)}}
	a.Out, a.Err = a.screens[0], a.screens[1]
	if jsonFlag(args) {
		a.jsonOut = &jsonWriter{Writer: a.Out}
		a.Out = a.jsonOut
	}
	return a
}

// Say returns a message in the user's language.
func (a *App) Say(key string, args ...any) string { return say.M(key, args...).In(a.Language()) }

// Word returns the word for a value in the user's language; see [say.Word].
func (a *App) Word(stem, value string) string { return say.Word(stem, value).In(a.Language()) }

// Language returns the language of --lang, else the one that the site's config names,
// else that of the environment, else Chinese. latest is that of a config read since: it
// stands in for the one of Site.
func (a *App) Language(latest ...string) say.Lang {
	wishes := []string{a.Lang}
	if a.Site != "" {
		wishes = append(append(wishes, latest...), a.Site)
	}
	return say.Choose(append(wishes, os.Getenv("LC_ALL"), os.Getenv("LC_MESSAGES"), os.Getenv("LANG"))...)
}

// Tell shows an error to the user; the verb then returns [ErrTold].
func (a *App) Tell(line string) {
	a.Remark(line)
	a.shown = append(a.shown, line)
}

// Remark writes a line beside the result.
func (a *App) Remark(line string) { fmt.Fprintln(a.Err, laid(line, Width(a.Err))) }

// Println writes a line to the user, folded so that it fits the terminal.
func (a *App) Println(line string) { fmt.Fprintln(a.Out, laid(line, Width(a.Out))) }

// Colour reports whether the output is a terminal that wants colour.
func (a *App) Colour() bool { return IsTerminal(a.Out) && os.Getenv("NO_COLOR") == "" }

// Confirm asks the user a question that wants a yes; yes means that a flag has said it
// already. Without it, the verb is refused; so it is if there is no terminal to ask
// at.
func (a *App) Confirm(ctx context.Context, question string, yes bool) error {
	if yes {
		return nil
	}
	if !a.CanAsk() {
		return Refuse(say.M("cli.need_yes"))
	}
	fmt.Fprint(a.Err, laid(strings.TrimRight(question, " "), Width(a.Err))+" ")
	line := make(chan string, 1)
	go func() {
		var answer string
		_, _ = fmt.Fscanln(a.In, &answer) // an empty answer is no yes
		line <- answer
	}()
	select {
	case answer := <-line:
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "y", "yes", "是", "好":
			return nil
		}
	case <-ctx.Done():
		fmt.Fprintln(a.Err)
	}
	return Refuse(say.M("cli.not_confirmed"))
}

// CanAsk reports whether there is a terminal to ask the user at.
func (a *App) CanAsk() bool { return IsTerminal(a.In) }

// Execute runs the verb that the arguments name and returns the exit code.
func (a *App) Execute(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	defer func() {
		for _, s := range a.screens {
			s.flush()
		}
	}()
	err := a.langKnown()
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	if fault := a.screens[0].failed(); err == nil && fault != nil {
		err = say.M("cli.not_written", fault)
	}
	if err == nil {
		return ExitOK
	}
	text := strings.Join(a.shown, "\n")
	if !errors.Is(err, ErrTold) {
		text = say.In(a.Language(), err)
		if a.Owner != "" && denied(err) {
			text += "\n" + a.Say("cli.as_owner", a.Owner)
		}
		a.Remark(a.Name + ": " + text)
	}
	if a.jsonOut != nil && (a.Stream || !a.jsonOut.begun) {
		_ = json.NewEncoder(a.Out).Encode(failure{text})
	}
	if errors.As(err, new(Refused)) {
		return ExitRefused
	}
	return ExitFailed
}

// langKnown refuses a --lang that is neither of the languages.
func (a *App) langKnown() error {
	if say.Known(a.Lang) {
		return nil
	}
	lang := a.Lang
	a.Lang = ""
	return Refused{say.M("cli.bad_lang", lang)}
}

// failure is what --json writes if a verb fails; the exit code is the same as
// without --json.
type failure struct {
	Error string `json:"error"` // in the user's language
}

// jsonFlag finds --json before the verbs are made, so that an error in the
// other arguments is written as JSON too.
func jsonFlag(args []string) bool {
	for _, arg := range args {
		switch arg {
		case "--json", "--json=true", "--json=1":
			return true
		case "--":
			return false
		}
	}
	return false
}

// langFlag finds --lang before the verbs are made.
func langFlag(args []string) string {
	for i, arg := range args {
		if v, ok := strings.CutPrefix(arg, "--lang="); ok {
			return v
		}
		if arg == "--lang" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// Root makes the program's command with its verbs, which help lists in the
// given order.
func (a *App) Root(short, long string, verbs ...*cobra.Command) *cobra.Command {
	cobra.EnableCommandSorting = false
	root := &cobra.Command{
		Use:           a.Name,
		Version:       Version(),
		Short:         short,
		Long:          long,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          a.aVerb,

		PersistentPreRun: func(c *cobra.Command, _ []string) { a.verb = c },
		RunE:             func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	f := root.PersistentFlags()
	f.StringVar(&a.Lang, "lang", a.Lang, a.Say("cli.flag_lang"))
	f.BoolP("help", "h", false, a.Say("cli.flag_help"))
	root.Flags().Bool("version", false, a.Say("cli.flag_version"))
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return Refused{flagFault(c, err)} })
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { fmt.Fprint(a.Out, a.help(c)) })
	root.SetUsageFunc(func(c *cobra.Command) error {
		_, err := fmt.Fprint(a.Err, a.usage(c))
		return err
	})
	root.SetVersionTemplate(a.Say("cli.version", a.Name, Version()) + "\n")
	root.SetHelpCommand(a.helpCmd())
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(verbs...)
	root.AddCommand(a.versionCmd(), a.completionCmd())
	for _, c := range root.Commands() {
		if c.Args == nil {
			c.Args = a.NoArgs
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
	}
	languages := []string{string(say.Chinese), string(say.English)}
	_ = root.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions(languages, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return root
}

// whole is how the user of the verb gets what a narrow table has left out.
func (a *App) whole() string {
	var flags []string
	for _, name := range []string{csvFlag, "json"} {
		if a.verb != nil && a.verb.Flags().Lookup(name) != nil {
			flags = append(flags, "--"+name)
		}
	}
	if len(flags) == 0 {
		return ""
	}
	return a.Say("cli.left_out_flags", strings.Join(flags, a.Say("cli.or")))
}

// JSONFlag adds --json to a verb.
func (a *App) JSONFlag(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVar(&a.JSON, "json", false, a.Say("cli.flag_json"))
	return c
}
