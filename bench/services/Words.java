// SPDX-License-Identifier: GPL-2.0
// Count words in many small strings: a program that allocates memory all the time.

import java.util.TreeMap;

public class Words {
	public static void main(String[] args) {
		int wanted = Integer.parseInt(args[0]);
		TreeMap<String, Integer> seen = new TreeMap<>();

		for (int i = 0; i < wanted; i++)
			seen.merge("w" + i % 1000, 1, Integer::sum);
		int words = seen.values().stream().mapToInt(Integer::intValue).sum();
		System.out.println(words + " words, " + seen.size() + " different, first "
				   + seen.firstKey() + ": " + seen.firstEntry().getValue());
	}
}
