package cli_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/playlist/say"
)

func TestAConfigThatAnotherUserCouldHaveWrittenIsPassedOver(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to another user")
	}
	t.Setenv("SUDO_UID", "65533")
	const here, system, stranger = "dalaba.toml", "/etc/dalaba/dalaba.toml", 65534
	for _, c := range []struct {
		name  string
		prove func(dir string) error // changes the folder; the file exists and is root's
		why   string                 // part of the reason; empty: the file is used
	}{
		{"one's own", func(string) error { return nil }, ""},
		{"none", func(dir string) error { return os.Remove(filepath.Join(dir, here)) }, "none"},
		{"that of the user behind sudo, who may be allowed this one verb", func(dir string) error { return os.Chown(filepath.Join(dir, here), 65533, 65533) }, "belongs to user"},
		{"in the folder of the user behind sudo", func(dir string) error { return os.Chown(dir, 65533, 65533) }, "belongs to user"},
		{"a stranger's", func(dir string) error { return os.Chown(filepath.Join(dir, here), stranger, stranger) }, "belongs to user"},
		{"one that all can write", func(dir string) error { return os.Chmod(filepath.Join(dir, here), 0o666) }, "chmod go-w"},
		{"one that all can write, with the sticky bit", func(dir string) error { return os.Chmod(filepath.Join(dir, here), 0o666|os.ModeSticky) }, "chmod go-w"},
		{"one that a group can write", func(dir string) error {
			return errors.Join(os.Chown(filepath.Join(dir, here), 0, stranger), os.Chmod(filepath.Join(dir, here), 0o664))
		}, "chmod go-w"},
		{"one that root's group can write", func(dir string) error { return os.Chmod(filepath.Join(dir, here), 0o664) }, ""},
		{"in a folder that all can write", func(dir string) error { return os.Chmod(dir, 0o777) }, "chmod go-w"},
		{"in a folder that a group can write", func(dir string) error { return errors.Join(os.Chown(dir, 0, stranger), os.Chmod(dir, 0o775)) }, "chmod go-w"},
		{"in a folder that root's group can write", func(dir string) error { return os.Chmod(dir, 0o775) }, ""},
		{"in a folder like /tmp", func(dir string) error { return os.Chmod(dir, 0o777|os.ModeSticky) }, ""},
		{"in a stranger's folder", func(dir string) error { return os.Chown(dir, stranger, stranger) }, "belongs to user"},
		{"a link to a stranger's", func(dir string) error {
			other := filepath.Join(dir, "other.toml")
			if err := os.Rename(filepath.Join(dir, here), other); err != nil {
				return err
			}
			if err := os.Chown(other, stranger, stranger); err != nil {
				return err
			}
			return os.Symlink(other, filepath.Join(dir, here))
		}, "belongs to user"},
		{"a stranger's link to one's own", func(dir string) error {
			other := filepath.Join(dir, "other.toml")
			if err := os.Rename(filepath.Join(dir, here), other); err != nil {
				return err
			}
			if err := os.Symlink(other, filepath.Join(dir, here)); err != nil {
				return err
			}
			return os.Lchown(filepath.Join(dir, here), stranger, stranger)
		}, "belongs to user"},
		{"a link to one in a folder that all can write", func(dir string) error {
			open := filepath.Join(dir, "open")
			return errors.Join(os.Mkdir(open, 0o700), os.Rename(filepath.Join(dir, here), filepath.Join(open, here)), os.Chmod(open, 0o777),
				os.Symlink(filepath.Join("open", here), filepath.Join(dir, here)))
		}, "chmod go-w"},
		{"a link to nothing", func(dir string) error {
			if err := os.Remove(filepath.Join(dir, here)); err != nil {
				return err
			}
			return os.Symlink("nowhere", filepath.Join(dir, here))
		}, "not used"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			if err := os.WriteFile(here, []byte("[site]\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := c.prove(dir); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{nil, {"-c", "./" + here}} {
				var config cli.Config
				verb := &cobra.Command{RunE: func(*cobra.Command, []string) error { return nil }}
				config.Flag(verb, here, system, "")
				verb.SetArgs(args)
				if err := verb.Execute(); err != nil {
					t.Fatal(err)
				}
				why := say.In(say.English, config.Passed())
				want := here
				switch {
				case len(args) > 0:
					want = args[1]
				case c.why != "":
					want = system
				}
				told := c.why != "" && c.why != "none" && len(args) == 0
				if config.Path != want || told != (why != "") || told && !strings.Contains(why, c.why) {
					t.Errorf("%v: %s, %q", args, config.Path, why)
				}
				if config.Passed() != nil {
					t.Error("it is told twice")
				}
			}
		})
	}
}
