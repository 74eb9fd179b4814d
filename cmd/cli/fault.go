package cli

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"dalaba/playlist/say"
)

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
	if meant := nearest(name, names); meant != "" {
		return say.M("cli.no_flag_mean", "--"+name, "--"+meant)
	}
	return say.M("cli.no_flag", "--"+name)
}

func badValue(err *pflag.InvalidValueError) say.Message {
	flag, value := "--"+err.GetFlag().Name, err.GetValue()
	switch kind := err.GetFlag().Value.Type(); {
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
	var names []string
	for _, v := range c.Commands() {
		if v.IsAvailableCommand() {
			names = append(names, v.Name())
		}
	}
	if meant := nearest(args[0], names); meant != "" {
		return Refused{say.M("cli.no_verb_mean", args[0], meant, c.CommandPath())}
	}
	return Refused{say.M("cli.no_verb", args[0], c.CommandPath())}
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

// nearest returns the name that was probably meant by a word: one that it begins, or one
// from which at most a third of its letters differ. Empty: none.
func nearest(word string, names []string) string {
	best, least := "", max(1, len(word)/3)+1
	for _, name := range slices.Sorted(slices.Values(names)) {
		d := distance(word, name)
		if len(word) > 1 && strings.HasPrefix(name, word) {
			d = 0
		}
		if d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is how many letters must be added, taken away, changed or swapped with their
// neighbour to make one word of another.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		for j := range rows[i] {
			if i == 0 || j == 0 {
				rows[i][j] = i + j
				continue
			}
			other := 0
			if a[i-1] != b[j-1] {
				other = 1
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+other)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
