package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SignatureHeader carries the time of a call and what proves it:
//
//	Tillpost-Signature: t=1795507200,v1=5257a8…
//
// v1 is HMAC-SHA256, in hex, of the time, a point and the body, under the
// webhook's secret. The time stands in what is signed, so that a call that
// somebody recorded is worth nothing later.
const SignatureHeader = "Tillpost-Signature"

// Sign makes the value of that header.
func Sign(secret []byte, at time.Time, body []byte) string {
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(sum(secret, at.Unix(), body)))
}

func sum(secret []byte, at int64, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write(strconv.AppendInt(nil, at, 10))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return mac.Sum(nil)
}

// Verify is what the other side does: it reads the header and says whether the
// body was signed with the secret, not longer ago than slack and not from the
// future by more than that.
func Verify(secret []byte, header string, body []byte, now time.Time, slack time.Duration) error {
	stamp, proof, ok := strings.Cut(header, ",")
	t, tok := strings.CutPrefix(stamp, "t=")
	v, vok := strings.CutPrefix(proof, "v1=")
	at, err := strconv.ParseInt(t, 10, 64)
	mac, merr := hex.DecodeString(v)
	if !ok || !tok || !vok || err != nil || merr != nil {
		return fmt.Errorf("hook: %q is not a signature", header)
	}
	if !hmac.Equal(mac, sum(secret, at, body)) {
		return fmt.Errorf("hook: the signature does not fit the body: another secret, or somebody changed it")
	}
	if off := now.Sub(time.Unix(at, 0)); off > slack || off < -slack {
		return fmt.Errorf("hook: the call was signed %s ago: somebody plays an old one again, or a clock is wrong", off.Round(time.Second))
	}
	return nil
}
