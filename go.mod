module dalaba

go 1.26.0

require (
	github.com/coreos/go-systemd/v22 v22.7.0 // sd_notify and the watchdog
	github.com/faiface/beep v1.1.0 // streamers: gain and mixing, in player only
	github.com/google/renameio/v2 v2.0.2 // files replaced whole, or not at all
	github.com/hajimehoshi/go-mp3 v0.3.4 // the decoder, in player only
	github.com/mattn/go-runewidth v0.0.31 // tables that line up with Chinese
	github.com/mattn/go-sqlite3 v1.14.53 // the store, in data only
	github.com/nats-io/jwt/v2 v2.8.3 // who may say what on the link
	github.com/nats-io/nats-server/v2 v2.15.2 // the link's broker, in cmd/dalaba-county only
	github.com/nats-io/nats.go v1.55.0 // the link
	github.com/nats-io/nkeys v0.4.17 // the keys behind those identities
	github.com/pelletier/go-toml/v2 v2.4.3 // TOML with positions
	github.com/robfig/cron/v3 v3.0.1 // cron specs, in playlist only; not its runner
	github.com/rogpeppe/go-internal v1.16.0 // scripts as tests
	github.com/spf13/cobra v1.10.2 // verbs, help and completions
	github.com/spf13/pflag v1.0.9 // the kinds of wrong flags, told in words; cobra brings it
	go.bug.st/serial v1.8.0 // the amplifier's serial relay
	golang.org/x/sync v0.24.0 // errgroup
	golang.org/x/sys v0.49.0 // adjtimex, boot time, file locks, GPIO
	golang.org/x/term v0.47.0 // the terminal's width
	golang.org/x/text v0.43.0 // GBK lists and tags
	golang.org/x/time v0.16.0 // token buckets: what strangers, and controllers, may do
)

require (
	github.com/antithesishq/antithesis-sdk-go v0.8.0-default-no-op // indirect
	github.com/clipperhouse/uax29/v2 v2.2.0 // indirect
	github.com/google/go-tpm v0.9.8 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/pgx/v5 v5.12.0 // PostgreSQL, in county/store only
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/minio/highwayhash v1.0.4 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	golang.org/x/crypto v0.58.0 // argon2id, for the county's password
	golang.org/x/tools v0.52.0 // indirect
)

require (
	github.com/beevik/etree v1.7.0 // the tree that goxmldsig works on, in alert only
	github.com/emmansun/gmsm v0.15.5 // SM2 and SM3, of EBD packages
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/jonboulle/clockwork v0.5.0 // indirect
	github.com/russellhaering/goxmldsig v1.6.1 // the canonical forms of XML, for signed CAP
)

require (
	github.com/Shopify/toxiproxy/v2 v2.5.0 // bad lines, in tools/e2e only
	github.com/rs/zerolog v1.28.0 // which toxiproxy asks for
)

require github.com/KimMachineGun/automemlimit v1.0.1 // how much memory the county may take

require github.com/wneessen/go-mail v0.8.1 // notices of the county by mail

require (
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.1.2 // indirect
	github.com/golang/protobuf v1.5.2 // indirect
	github.com/gorilla/mux v1.8.0 // indirect
	github.com/mattn/go-colorable v0.1.13 // indirect
	github.com/mattn/go-isatty v0.0.16 // indirect
	github.com/matttproud/golang_protobuf_extensions v1.0.1 // indirect
	github.com/pbnjay/memory v0.0.0-20210728143218-7b4eea64cf58 // indirect
	github.com/prometheus/client_golang v1.13.0 // indirect
	github.com/prometheus/client_model v0.2.0 // indirect
	github.com/prometheus/common v0.37.0 // indirect
	github.com/prometheus/procfs v0.8.0 // indirect
	github.com/rs/xid v1.4.0 // indirect
	google.golang.org/protobuf v1.28.1 // indirect
	gopkg.in/tomb.v1 v1.0.0-20141024135613-dd632973f1e7 // indirect
)
