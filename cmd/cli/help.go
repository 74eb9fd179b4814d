package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// help is what a verb is for and how it is used, folded for the terminal.
func (a *App) help(c *cobra.Command) string {
	about := c.Long
	if about == "" {
		about = c.Short
	}
	return laid(strings.TrimSpace(about), a.helpWidth()) + "\n\n" + a.usage(c)
}

// helpCmd is `help`, which many type.
func (a *App) helpCmd() *cobra.Command {
	return &cobra.Command{
		Use: "help " + a.Say("cli.help_args"), Short: a.Say("cli.help_short"), Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			verb, rest, err := c.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return a.aVerb(verb, rest)
			}
			return verb.Help()
		},
	}
}

func (a *App) helpWidth() int {
	if width := Width(a.Out); width > 0 {
		return width
	}
	return usualWidth
}

// usage is how a verb is used.
func (a *App) usage(c *cobra.Command) string {
	var b strings.Builder
	list := func(heading string, lines [][2]string) {
		if len(lines) > 0 {
			b.WriteString("\n" + heading + "\n" + lined(lines, a.helpWidth()))
		}
	}
	b.WriteString(a.Say("cli.usage") + "\n")
	line := strings.TrimSuffix(c.UseLine(), " [flags]")
	if c.Runnable() {
		fmt.Fprintf(&b, "  %s %s\n", line, a.Say("cli.flags_here"))
	}
	var verbs [][2]string
	for _, v := range c.Commands() {
		if v.IsAvailableCommand() {
			verbs = append(verbs, [2]string{v.Name(), v.Short})
		}
	}
	if len(verbs) > 0 {
		fmt.Fprintf(&b, "  %s %s\n", c.CommandPath(), a.Say("cli.verb"))
	}
	list(a.Say("cli.verbs"), verbs)
	list(a.Say("cli.flags"), a.flagLines(c.LocalFlags()))
	list(a.Say("cli.global_flags"), a.flagLines(c.InheritedFlags()))
	if len(verbs) > 0 {
		b.WriteString("\n" + laid(a.Say("cli.more", c.CommandPath()), a.helpWidth()) + "\n")
	}
	return b.String()
}

// flagLines are flags as help lists them, each with what it does.
func (a *App) flagLines(set *pflag.FlagSet) (lines [][2]string) {
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name := "    --" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", --" + f.Name
		}
		kind, usual := f.Value.Type(), f.DefValue
		switch {
		case kind == "bool":
		case f.NoOptDefVal != "":
			name += "[=" + kind + "]"
		default:
			name += " " + a.Say(typeOf(kind))
		}
		if kind == "duration" { // 24h0m0s
			usual = noZeros.ReplaceAllString(usual, "$1")
		}
		does := f.Usage
		if !slices.Contains([]string{"", "0", "0s", "false", "[]"}, usual) {
			does += a.Say("cli.default", usual)
		}
		lines = append(lines, [2]string{name, does})
	})
	return lines
}

// noZeros finds the zeros that the text of a length of time ends in.
var noZeros = regexp.MustCompile(`([hm])(?:0m)?0s$`)

// typeOf is the word for what a flag takes.
func typeOf(kind string) string {
	switch kind {
	case "int", "int64", "float64":
		return "cli.type_number"
	case "duration":
		return "cli.type_duration"
	case "stringSlice":
		return "cli.type_list"
	}
	return "cli.type_text"
}

// lined writes what things are beside their names.
func lined(lines [][2]string, width int) string {
	column := 0
	for _, l := range lines {
		column = max(column, Columns.StringWidth(l[0]))
	}
	column += len("  ") + len("   ")
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(Columns.FillRight("  "+l[0], column) + fold(l[1], width, column, column) + "\n")
	}
	return b.String()
}
