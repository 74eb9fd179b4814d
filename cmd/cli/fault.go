package cli

import (
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// denied reports whether an error is, or tells of, a file that this user may not use.
func denied(err error) bool {
	var m say.Message
	if errors.Is(err, fs.ErrPermission) || !errors.As(err, &m) {
		return errors.Is(err, fs.ErrPermission)
	}
	return slices.ContainsFunc(m.Args, func(arg any) bool {
		err, ok := arg.(error)
		return ok && denied(err)
	})
}

// flagFault puts an error of the flag library into words.
func flagFault(c *cobra.Command, err error) say.Message {
	var (
		unknown *pflag.NotExistError
		empty   *pflag.ValueRequiredError
		value   *pflag.InvalidValueError
		syntax  *pflag.InvalidSyntaxError
	)
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		name := unknown.GetSpecifiedName()
		if name[0] >= utf8.RuneSelf { // part of a Chinese character
			name = unknown.GetSpecifiedShortnames()
		}
		return say.M("cli.no_flag", "-"+name)
	case errors.As(err, &unknown):
		return noFlag(c, unknown.GetSpecifiedName())
	case errors.As(err, &empty):
		return say.M("cli.empty_flag", "--"+empty.GetFlag().Name)
	case errors.As(err, &value):
		return badValue(value)
	case errors.As(err, &syntax):
		return say.M("cli.flag_syntax", syntax.GetSpecifiedFlag())
	}
	return say.M("cli.bad_flag", err.Error())
}

func noFlag(c *cobra.Command, name string) say.Message {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if other := meant(name, names); other != "" {
		return say.M("cli.no_flag_mean", "--"+name, "--"+other)
	}
	return say.M("cli.no_flag", "--"+name)
}

func badValue(err *pflag.InvalidValueError) say.Message {
	flag, value := "--"+err.GetFlag().Name, err.GetValue()
	switch kind := err.GetFlag().Value.Type(); {
	case err.GetFlag().Name == csvFlag:
		return say.M("cli.bad_csv", value)
	case errors.Is(err, strconv.ErrRange):
		return say.M("cli.bad_range", flag, value)
	case kind == "bool":
		return say.M("cli.bad_bool", flag, value)
	case kind == "duration":
		return say.M("cli.bad_duration", flag, value)
	case kind == "stringSlice":
		return say.M("cli.bad_list", flag, value)
	}
	return say.M("cli.bad_number", flag, value)
}

// aVerb refuses arguments, for a command that has verbs: the first is none of them.
func (a *App) aVerb(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if err := VerbMeant(c, args[0]); err != nil {
		return err
	}
	return Refused{say.M("cli.no_verb", args[0], c.CommandPath())}
}

// VerbMeant refuses a word that is like a verb of the command; nil: it is like none.
func VerbMeant(c *cobra.Command, word string) error {
	var names []string
	for _, v := range c.Commands() {
		if v.IsAvailableCommand() {
			names = append(names, v.Name())
		}
	}
	if other := meant(word, names); other != "" {
		return Refused{say.M("cli.no_verb_mean", word, other, c.CommandPath())}
	}
	return nil
}

// NoArgs refuses arguments, for verbs that take none.
func (a *App) NoArgs(c *cobra.Command, args []string) error {
	if c.HasSubCommands() {
		return a.aVerb(c, args)
	}
	if len(args) > 0 {
		return Refused{say.M("cli.no_args", args[0])}
	}
	return nil
}

// meant returns the name that was probably meant by a word: one that it begins, or one
// that is like it. Empty: none.
func meant(word string, names []string) string {
	names = slices.Sorted(slices.Values(names))
	if i := slices.IndexFunc(names, func(n string) bool { return len(word) > 1 && strings.HasPrefix(n, word) }); i >= 0 {
		return names[i]
	}
	return config.Near(word, names)
}
