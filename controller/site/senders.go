package site

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"

	"dalaba/alert"
	"dalaba/controller/files"
	"dalaba/data"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// maxSender is the largest file of certificates or keys that is read.
const maxSender = 4 << 20

// senders are the keys of [alert] whose files prove who sends alerts, and how one of them
// is read.
var senders = map[string]func(raw []byte, o *alert.Options) error{
	"anchors": readAnchors,
	"ebd": func(raw []byte, o *alert.Options) error {
		cert, err := alert.ParseCertificate(raw)
		if err == nil {
			o.Certificates = append(o.Certificates, cert)
		}
		return err
	},
	"ebd_ca": func(raw []byte, o *alert.Options) error {
		key, err := alert.ParsePublicKey(raw)
		if err == nil {
			o.Authorities = append(o.Authorities, key)
		}
		return err
	},
}

// Senders returns whose signatures the site believes, and what is wrong with the files that
// cannot be used. What the others vouch for holds all the same: one file must not silence
// all alerts.
func Senders(c config.Alert) (o alert.Options, faults []say.Message) {
	for _, s := range []struct {
		key   string
		paths []string
	}{{"anchors", c.Anchors}, {"ebd", c.EBD}, {"ebd_ca", c.EBDCA}} {
		for _, path := range s.paths {
			if err := readSender(s.key, path, &o); err != nil {
				faults = append(faults, say.M("alerts.bad_sender", path, err))
			}
		}
	}
	if len(c.EBDCA) > 0 && len(o.Authorities) == 0 {
		o.Certificates = nil // no one can vouch for them
	}
	return o, faults
}

// CheckSender returns why a file that the key of [alert] names cannot be used; nil if it can, or
// if the key is another one.
func CheckSender(key, path string) error {
	if senders[key] == nil {
		return nil
	}
	return readSender(key, path, &alert.Options{})
}

// readSender reads a file that the key of [alert] names.
func readSender(key, path string, o *alert.Options) error {
	raw, err := files.Read(path, maxSender)
	if errors.Is(err, fs.ErrPermission) {
		if why := data.CanReadNamed(path, data.Me()); why != nil {
			return why
		}
	}
	if err != nil {
		return err
	}
	return senders[key](raw, o)
}

func readAnchors(raw []byte, o *alert.Options) error {
	found := false
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		found = true
		o.Anchors = append(o.Anchors, cert)
	}
	if !found {
		return say.M("alerts.no_pem")
	}
	return nil
}
