// SPDX-License-Identifier: GPL-2.0
// Start worker threads, let each add up numbers in memory of its own, and add up their sums.
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");

if (isMainThread) {
	const wanted = Number(process.argv[2]);
	let sum = 0, ended = 0;

	for (let i = 0; i < wanted; i++) {
		const worker = new Worker(__filename, { workerData: i });

		worker.on("message", (one) => { sum += one; });
		worker.on("exit", () => {
			if (++ended === wanted)
				console.log(`${wanted} workers, sum ${sum}`);
		});
	}
} else {
	const numbers = [];

	for (let i = 0; i < 2000; i++)
		numbers.push(i + workerData);
	parentPort.postMessage(numbers.reduce((a, b) => a + b, 0));
}
