package ingest

import (
	"bytes"
	"errors"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// readMeta parses a TOML file of metadata, strictly. A fault in it is an
// ErrRefused that names the file, the line and the key.
func readMeta(file string, raw []byte) (Meta, error) {
	text := []byte(decodeText(raw, string(raw)))
	var m struct {
		Meta
		Issue *int `toml:"issue"` // a pointer, to tell 0 from absent
	}
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&m)
	if err != nil {
		return Meta{}, metaFault(file, text, err)
	}
	if m.Issue != nil {
		if *m.Issue < 1 || *m.Issue > MaxIssue {
			return Meta{}, wrong(file, lineOf(text, "issue"), say.M("ingest.issue", *m.Issue, MaxIssue))
		}
		m.Meta.Issue = *m.Issue
	}
	return m.Meta, nil
}

// wrong makes a refusal that names a line of a file.
func wrong(file string, line int, what say.Message) error {
	return refuse("ingest.sidecar", file, line, what)
}

// metaFault makes a refusal from an error of the TOML library.
func metaFault(file string, text []byte, err error) error {
	if p := config.Syntax(file, text); len(p) > 0 {
		return wrong(file, p[0].Line, say.M("ingest.sidecar_slip", p[0].What, p[0].Remedy))
	}
	if strict := (*toml.StrictMissingError)(nil); errors.As(err, &strict) && len(strict.Errors) > 0 {
		row, _ := strict.Errors[0].Position()
		return wrong(file, row, say.M("ingest.sidecar_key", strings.Join(strict.Errors[0].Key(), ".")))
	}
	if decode := (*toml.DecodeError)(nil); errors.As(err, &decode) && len(decode.Key()) > 0 {
		row, _ := decode.Position()
		switch key := decode.Key()[0]; key {
		case "issue":
			return wrong(file, row, say.M("ingest.sidecar_number", key, MaxIssue))
		case "as_is":
			return wrong(file, row, say.M("ingest.sidecar_switch", key))
		case "tags":
			return wrong(file, row, say.M("ingest.sidecar_list", key))
		default:
			return wrong(file, row, say.M("ingest.sidecar_text", key))
		}
	}
	return wrong(file, 1, say.M("config.syntax"))
}

// lineOf returns the line on which a key of the top table is.
func lineOf(text []byte, key string) int {
	at := regexp.MustCompile(`(?m)^[ \t]*["']?` + key + `["']?[ \t]*=`).FindIndex(text)
	if at == nil {
		return 1
	}
	return bytes.Count(text[:at[0]], []byte("\n")) + 1
}
