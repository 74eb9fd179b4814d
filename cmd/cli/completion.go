package cli

import (
	_ "embed"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dalaba/playlist/say"
)

// completionCmd writes the script by which a shell completes what is typed.
func (a *App) completionCmd() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:       "completion bash|zsh|fish",
		Short:     a.Say("cli.completion_short"),
		Long:      a.Say("cli.completion_long", a.Name),
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return Refuse(say.M("cli.completion_which"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			switch root := c.Root(); args[0] {
			case "bash":
				if err := root.GenBashCompletionV2(a.Out, true); err != nil {
					return err
				}
				_, err := io.WriteString(a.Out, strings.ReplaceAll(withoutPackage, "PROGRAM", strings.ReplaceAll(a.Name, "-", "_")))
				return err
			case "zsh":
				return root.GenZshCompletion(a.Out)
			default:
				return root.GenFishCompletion(a.Out, true)
			}
		},
	}
}

// withoutPackage makes the script for bash work without the package bash-completion.
//
//go:embed completion.bash
var withoutPackage string

// Complete has the shell complete the value of a flag, in each verb that has it. values is
// called once the other flags are known.
func (a *App) Complete(root *cobra.Command, flag string, values func(*cobra.Command) []string) {
	for _, c := range root.Commands() {
		if c.LocalFlags().Lookup(flag) != nil {
			_ = c.RegisterFlagCompletionFunc(flag, func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
				return values(c), cobra.ShellCompDirectiveNoFileComp
			}) // fails only if the flag is not there, or has one
		}
		a.Complete(c, flag, values)
	}
}
