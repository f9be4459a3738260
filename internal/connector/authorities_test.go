// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package connector_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/casebook-dev/casebook/internal/connector"
)

// authority is a certificate of an authority that ends at some time, and its key.
func authority(t testing.TB, name string, until time.Time) (certificate *x509.Certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: until.Add(-time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	if certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if key, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

func block(kind string, content []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
}

func TestAuthorities(t *testing.T) {
	first, key := authority(t, "first", time.Now().Add(time.Hour))
	second, _ := authority(t, "second", time.Now().Add(time.Hour))
	expired, _ := authority(t, "expired", time.Now().Add(-time.Hour))
	one, two := block("CERTIFICATE", first.Raw), block("CERTIFICATE", second.Raw)
	withHeader := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"Proc-Type": "4"}, Bytes: second.Raw}))
	lines := strings.Split(strings.TrimSpace(two), "\n")
	indented := "  " + strings.Join(lines, "\n  ") + "\n"
	naked := strings.Join(lines[1:len(lines)-1], "\n") + "\n"
	tests := map[string]struct {
		bundle  string
		trusted []*x509.Certificate
		want    string // of the error; none if empty
	}{
		"one":                            {bundle: one, trusted: []*x509.Certificate{first}},
		"two, with line ends of Windows": {bundle: strings.ReplaceAll(one+two, "\n", "\r\n"), trusted: []*x509.Certificate{first, second}},
		"one that has expired":           {bundle: block("CERTIFICATE", expired.Raw) + one, trusted: []*x509.Certificate{expired, first}},
		"with names before them":         {bundle: "First CA\n========\n" + one + "\nSecond CA\n=========\n" + two + "\n\n# the end\n", trusted: []*x509.Certificate{first, second}},
		"none":                           {bundle: "none", want: "it holds no certificate: put the PEM"},
		"blanks":                         {bundle: "\n \n", want: "it holds no certificate"},
		"its key beside it":              {bundle: one + block("PRIVATE KEY", key), want: `block 2 is of type "PRIVATE KEY": take it out, and make a new key`},
		"an older key before it":         {bundle: block("EC PRIVATE KEY", key) + one, want: `block 1 is of type "EC PRIVATE KEY": take it out, and make a new key`},
		"a list of what was revoked":     {bundle: one + block("X509 CRL", second.Raw), want: `block 2 is of type "X509 CRL": take it out`},
		"a second that holds no DER":     {bundle: one + block("CERTIFICATE", second.Raw[:100]) + two, want: "block 2 is no certificate that can be read: x509: malformed certificate"},
		"a second with a header":         {bundle: one + withHeader, want: "block 2 has headers"},
		"a second that is cut off":       {bundle: one + two[:len(two)/2], want: "block 2 is no PEM that can be read"},
		"a first that is cut off":        {bundle: one[:len(one)/2] + "\n" + two, want: "block 1 is no PEM that can be read"},
		"a second with a wrong end":      {bundle: one + strings.Replace(two, "END CERTIFICATE", "END CERT", 1) + one, want: "block 2 is no PEM that can be read"},
		"a second with a bad character":  {bundle: one + strings.Replace(two, lines[2], "!"+lines[2][1:], 1), want: "block 2 is no PEM that can be read"},
		"a second that is indented":      {bundle: one + indented, want: "with no space before any"},
		"a first that is indented":       {bundle: indented + one, want: "block 1 is no PEM that can be read"},
		"a second without its marks":     {bundle: one + naked + one, want: "block 2 is no PEM that can be read"},
		"a second without its beginning": {bundle: one + strings.Join(lines[1:], "\n"), want: "block 2 is no PEM that can be read"},
		"words after the last":           {bundle: one + "and so on\n", want: "the text after block 1 is no certificate: take it out"},
		"words right after the last":     {bundle: strings.TrimSpace(one) + "x", want: "block 1 is no PEM that can be read"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pool, err := connector.Authorities(tc.bundle)
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("Authorities = %v, want %q", err, tc.want)
				}
				return
			}
			want := x509.NewCertPool()
			for _, certificate := range tc.trusted {
				want.AddCert(certificate)
			}
			if err != nil || !pool.Equal(want) {
				t.Errorf("Authorities has other certificates than %d, or fails: %v", len(tc.trusted), err)
			}
		})
	}
}

// FuzzAuthorities: what is read holds nothing that was left out.
func FuzzAuthorities(f *testing.F) {
	certificate, key := authority(f, "first", time.Now().Add(time.Hour))
	one := block("CERTIFICATE", certificate.Raw)
	for _, seed := range []string{"", one, one + one, one[:80], "# a\n" + one, one + block("PRIVATE KEY", key), "-----BEGIN -----\n-----END -----"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, bundle string) {
		pool, err := connector.Authorities(bundle)
		if err != nil {
			return
		}
		lenient := x509.NewCertPool()
		if !lenient.AppendCertsFromPEM([]byte(bundle)) || !lenient.Equal(pool) {
			t.Errorf("%q: other certificates than package x509 finds", bundle)
		}
		blocks := 0
		for rest, found := []byte(bundle), (*pem.Block)(nil); ; blocks++ {
			if found, rest = pem.Decode(rest); found == nil {
				break
			}
		}
		if marks := bytes.Count([]byte("\n"+bundle), []byte("\n-----BEGIN ")); marks != blocks {
			t.Errorf("%q: %d blocks begin, and %d were read", bundle, marks, blocks)
		}
	})
}
