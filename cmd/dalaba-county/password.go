package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// readPassword asks a person, who does not see what he types.
func readPassword(f *os.File, out io.Writer, prompt string) (string, error) {
	fmt.Fprint(out, prompt)
	text, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(out)
	return string(text), err
}
