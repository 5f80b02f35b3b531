// Compares pairs of objects as Argo CD does: {"target": …, "live": …} a line on standard input,
// {"modified": …, "normalized": …, "predicted": …} a line on standard output.
package main

import (
	"encoding/json"
	"io"
	"log"
	"os"

	"github.com/argoproj/gitops-engine/pkg/diff"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type pair struct {
	Target map[string]interface{} `json:"target"`
	Live   map[string]interface{} `json:"live"`
}

type answer struct {
	Modified   bool            `json:"modified"`
	Normalized json.RawMessage `json:"normalized,omitempty"`
	Predicted  json.RawMessage `json:"predicted,omitempty"`
}

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var given pair
		if err := in.Decode(&given); err == io.EOF {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		target := &unstructured.Unstructured{Object: given.Target}
		live := &unstructured.Unstructured{Object: given.Live}
		found, err := diff.Diff(target, live, diff.WithNormalizer(diff.GetNoopNormalizer()))
		if err != nil {
			log.Fatal(err)
		}
		said := answer{Modified: found.Modified}
		if found.Modified {
			said.Normalized, said.Predicted = found.NormalizedLive, found.PredictedLive
		}
		if err := out.Encode(said); err != nil {
			log.Fatal(err)
		}
	}
}
